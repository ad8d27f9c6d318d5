package browser

import (
	"bytes"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"maps"
	"slices"
)

// Compress reduces a picture to 256 colours; the page has few.
func Compress(shot []byte) ([]byte, error) {
	img, err := png.Decode(bytes.NewReader(shot))
	if err != nil {
		return nil, err
	}
	reduced := image.NewPaletted(img.Bounds(), colours(img))
	draw.Draw(reduced, reduced.Bounds(), img, img.Bounds().Min, draw.Src)
	var out bytes.Buffer
	err = (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&out, reduced)
	return out.Bytes(), err
}

// colours returns the 256 most frequent colours of a picture, rounded.
func colours(img image.Image) color.Palette {
	count := make(map[color.RGBA]int)
	b := img.Bounds()
	for y := b.Min.Y; y < b.Max.Y; y++ {
		for x := b.Min.X; x < b.Max.X; x++ {
			r, g, bl, _ := img.At(x, y).RGBA()
			const coarse = 0xFC
			count[color.RGBA{uint8(r>>8) & coarse, uint8(g>>8) & coarse, uint8(bl>>8) & coarse, 0xFF}]++
		}
	}
	all := slices.SortedFunc(maps.Keys(count), func(a, b color.RGBA) int { return count[b] - count[a] })
	var p color.Palette
	for _, c := range all[:min(256, len(all))] {
		p = append(p, c)
	}
	return p
}
