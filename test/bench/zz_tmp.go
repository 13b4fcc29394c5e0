package main
import ("context";"io")
const clientMode="x"
func client(context.Context, io.Reader, io.Writer) error {return nil}
func (b *bench) fleet(ctx context.Context) error {return nil}
func (b *bench) rotateCA(ctx context.Context) error {return nil}
func (b *bench) gateway(ctx context.Context) error {return nil}
func (b *bench) coldStart(ctx context.Context) error {return nil}
