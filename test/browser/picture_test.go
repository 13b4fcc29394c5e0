package browser

import (
	"bytes"
	"cmp"
	"flag"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"os"
	"slices"
	"testing"
)

// The README shows one page. make screens names the file.
var readmePicture = flag.String("picture", "", "file that gets a small picture of the PKI page")

// inReadme is the page that the README shows, as lookAt names it.
const inReadme = "pki-light"

// keepForReadme writes a small copy of a page's picture where -picture says.
func keepForReadme(t *testing.T, picture []byte) {
	t.Helper()
	if *readmePicture == "" {
		return
	}
	small, err := smaller(picture)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(*readmePicture, small, 0o644); err != nil {
		t.Fatal(err)
	}
}

// smaller returns a PNG in at most 256 colours, those that are there most often: a third of the octets.
func smaller(picture []byte) ([]byte, error) {
	full, err := png.Decode(bytes.NewReader(picture))
	if err != nil {
		return nil, err
	}
	const coarse = 0xF8 // shades that no eye can distinguish are one
	pixels := map[color.RGBA]int{}
	sample := map[color.RGBA]color.Color{}
	box := full.Bounds()
	for y := box.Min.Y; y < box.Max.Y; y++ {
		for x := box.Min.X; x < box.Max.X; x++ {
			r, g, b, _ := full.At(x, y).RGBA()
			c := color.RGBA{uint8(r >> 8 & coarse), uint8(g >> 8 & coarse), uint8(b >> 8 & coarse), 0xFF}
			pixels[c]++
			if sample[c] == nil {
				sample[c] = full.At(x, y)
			}
		}
	}
	var shades []color.RGBA
	for c := range pixels {
		shades = append(shades, c)
	}
	slices.SortFunc(shades, func(a, b color.RGBA) int {
		return cmp.Or(cmp.Compare(pixels[b], pixels[a]), cmp.Compare(a.R, b.R), cmp.Compare(a.G, b.G), cmp.Compare(a.B, b.B))
	})
	var palette color.Palette
	for _, c := range shades[:min(256, len(shades))] {
		palette = append(palette, sample[c])
	}
	few := image.NewPaletted(box, palette)
	draw.Draw(few, box, full, box.Min, draw.Src)
	var out bytes.Buffer
	err = (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&out, few)
	return out.Bytes(), err
}

func TestSmallerPicture(t *testing.T) {
	full := image.NewRGBA(image.Rect(0, 0, 300, 100))
	for y := range 100 {
		for x := range 300 {
			full.Set(x, y, color.RGBA{uint8(x), uint8(y), 7, 0xFF})
		}
	}
	full.Set(0, 0, color.White)
	var picture bytes.Buffer
	if err := png.Encode(&picture, full); err != nil {
		t.Fatal(err)
	}
	got, err := smaller(picture.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	few, err := png.Decode(bytes.NewReader(got))
	if err != nil {
		t.Fatal(err)
	}
	if p, ok := few.(*image.Paletted); !ok || len(p.Palette) > 256 || few.Bounds() != full.Bounds() {
		t.Errorf("got %T of %v, want %v in 256 colours", few, few.Bounds(), full.Bounds())
	}
}
