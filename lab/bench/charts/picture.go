package charts

import (
	"fmt"
	"image/color"
	"os"
	"path/filepath"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

const (
	width  = 9 * vg.Inch
	height = 5 * vg.Inch
	margin = vg.Length(14)

	// legendWidth is what a legend takes beside the plot.
	legendWidth = vg.Length(125)
)

// picture is a plot with its legend beside it, where it hides nothing.
type picture struct {
	*plot.Plot
	legend plot.Legend
	named  bool // there is a legend
}

// newPicture is an empty plot on a light background.
func newPicture(title, x, y string) *picture {
	p := &picture{Plot: plot.New(), legend: plot.NewLegend()}
	p.BackgroundColor = color.White
	p.Title.Text = title
	p.Title.TextStyle.Font.Size = 14
	p.Title.Padding = vg.Points(10)
	p.X.Label.Text, p.Y.Label.Text = x, y
	p.X.Label.TextStyle.Font.Size, p.Y.Label.TextStyle.Font.Size = 12, 12
	p.X.Label.Padding, p.Y.Label.Padding = vg.Points(4), vg.Points(4)
	p.legend.Top, p.legend.Left = true, true
	p.legend.TextStyle.Font.Size = 11
	p.legend.ThumbnailWidth = vg.Points(22)
	p.legend.Padding = vg.Points(3)
	return p
}

// name adds a line to the legend.
func (p *picture) name(text string, thumbs ...plot.Thumbnailer) {
	p.legend.Add(text, thumbs...)
	p.named = true
}

// grid puts a thin grid behind what is drawn.
func (p *picture) grid() {
	g := plotter.NewGrid()
	g.Horizontal.Width, g.Vertical.Width = vg.Points(0.3), vg.Points(0.3)
	p.Add(g)
}

// save writes the picture in the format that the file's ending names.
func (p *picture) save(file string) error {
	canvas, err := draw.NewFormattedCanvas(width, height, strings.TrimPrefix(filepath.Ext(file), "."))
	if err != nil {
		return err
	}
	whole := draw.New(canvas)
	whole.FillPolygon(color.White, []vg.Point{
		whole.Min, {X: whole.Min.X, Y: whole.Max.Y}, whole.Max, {X: whole.Max.X, Y: whole.Min.Y},
	})
	inner := draw.Crop(whole, margin, -margin, margin, -margin)
	if p.named {
		beside := draw.Crop(inner, inner.Max.X-inner.Min.X-legendWidth+margin, 0, 0, -vg.Points(30))
		p.legend.Draw(beside)
		inner = draw.Crop(inner, 0, -legendWidth, 0, 0)
	}
	p.Draw(inner)
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	if _, err := canvas.WriteTo(f); err != nil {
		_ = f.Close() // the other error says more
		return fmt.Errorf("drawing: %w", err)
	}
	return f.Close()
}
