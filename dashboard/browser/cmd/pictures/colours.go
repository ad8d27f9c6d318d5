package main

import (
	"image"
	"image/color"
	"maps"
	"slices"
)

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
