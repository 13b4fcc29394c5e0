package sdk

import (
	"testing"
	"time"

	"github.com/mastio-aws/mastio/shared/boot"
	"github.com/mastio-aws/mastio/test/inmemory"
	"github.com/mastio-aws/mastio/test/local"
)

// clocked is a Mastio in memory behind the local gateway: its clock moves when the test moves it.
func clocked(t *testing.T) (*mastio, *inmemory.Mastio) {
	t.Helper()
	m := local.InMemory(t, nil, func(p *boot.Parts) { p.RequireNonce = true })
	return newMastio(m.URL, m.CAPEM, inmemory.Secret, nil), m.Mastio
}

// Where nonces are demanded, the SDK calls and logs in ten minutes after its last answer: by then the token has ended,
// and so has the nonce that it remembers.
func TestTenMinutesLater(t *testing.T) {
	m, core := clocked(t)
	i := m.mint(t)
	f := flow{script: "clock.py", agent: i.AgentID, folder: t.TempDir(), given: map[string]any{"now": core.Now().Unix()}}
	f.save(t, i)
	f.asks = map[string]func(){"move the clock by ten minutes": func() { core.Advance(10 * time.Minute) }}
	called, login := "me: {agent} kyc:read kyc:write", "token: {agent} kyc:read kyc:write DPoP"
	f.run(t, m,
		login, called, "calls: "+byLocalKey+", "+meCall,
		called, "calls: "+meCall+", "+byLocalKey+", "+meCall,
		login, "calls: "+byMastio, called,
	)
}
