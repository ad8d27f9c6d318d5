package charts

import (
	"bytes"
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

	// legendWidth is the width of a legend beside the plot.
	legendWidth = vg.Length(125)
)

// picture is a plot with its legend beside it, where the legend covers nothing.
type picture struct {
	*plot.Plot
	legend    plot.Legend
	hasLegend bool
}

// newPicture returns an empty plot.
func newPicture(title, x, y string) *picture {
	p := &picture{Plot: plot.New(), legend: plot.NewLegend()}
	p.BackgroundColor = rgb(backgroundColor.light)
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

// addToLegend adds an entry to the legend.
func (p *picture) addToLegend(text string, thumbs ...plot.Thumbnailer) {
	p.legend.Add(text, thumbs...)
	p.hasLegend = true
}

// addGrid adds a thin grid.
func (p *picture) addGrid() {
	g := plotter.NewGrid()
	g.Horizontal.Width, g.Vertical.Width = vg.Points(0.3), vg.Points(0.3)
	g.Horizontal.Color, g.Vertical.Color = rgb(gridColor.light), rgb(gridColor.light)
	p.Add(g)
}

// save writes the picture in the format of the file's extension.
func (p *picture) save(file string) error {
	format := strings.TrimPrefix(filepath.Ext(file), ".")
	canvas, err := draw.NewFormattedCanvas(width, height, format)
	if err != nil {
		return err
	}
	whole := draw.New(canvas)
	whole.FillPolygon(rgb(backgroundColor.light), []vg.Point{
		whole.Min, {X: whole.Min.X, Y: whole.Max.Y}, whole.Max, {X: whole.Max.X, Y: whole.Min.Y},
	})
	inner := draw.Crop(whole, margin, -margin, margin, -margin)
	if p.hasLegend {
		beside := draw.Crop(inner, inner.Max.X-inner.Min.X-legendWidth+margin, 0, 0, -vg.Points(30))
		p.legend.Draw(beside)
		inner = draw.Crop(inner, 0, -legendWidth, 0, 0)
	}
	p.Draw(inner)
	var drawing bytes.Buffer
	if _, err := canvas.WriteTo(&drawing); err != nil {
		return err
	}
	content := drawing.Bytes()
	if format == "svg" {
		if content, err = withDarkStyle(content); err != nil {
			return err
		}
	}
	return os.WriteFile(file, content, 0o644)
}
