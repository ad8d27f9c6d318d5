// Command pictures makes the pictures of the dashboard that the README shows, of a
// real server with real clients:
//
//	go run ./dashboard/browser/cmd/pictures
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"image"
	"image/draw"
	"image/png"
	"os"
	"os/signal"
	"path/filepath"
	"time"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"github.com/sessionwheel/sessionwheel/dashboard/browser"
)

func main() {
	dir := flag.String("dir", "docs", "write the pictures to this `folder`")
	after := flag.Duration("after", 45*time.Second, "let the clients come and go for this `long` first")
	flag.Parse()
	if flag.NArg() > 0 || *after < time.Second {
		fmt.Fprintln(os.Stderr, "pictures: --after must be at least 1s, and nothing but flags is taken")
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *dir, *after); err != nil {
		fmt.Fprintln(os.Stderr, "pictures:", err)
		os.Exit(1)
	}
}

// pictures are how the page is looked at.
var pictures = []struct {
	name   string
	look   browser.Look
	height float64 // of the picture, in CSS pixels; what is below is cut off
}{
	{"dashboard-light.png", browser.Look{Width: 1240, Height: 1560, Scale: 1.5}, 1560},
	{"dashboard-dark.png", browser.Look{Width: 1240, Height: 1560, Scale: 1.5, Dark: true}, 1560},
	{"dashboard-narrow.png", browser.Look{Width: 390, Height: 1400, Scale: 2}, 1390},
}

func run(ctx context.Context, dir string, after time.Duration) (err error) {
	scene, err := browser.NewScene("chat server", 20*time.Second, true)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, scene.Close()) }()
	clients := browser.NewClients(scene.Addr)
	defer func() { err = errors.Join(err, clients.Close()) }()
	crowd, end := context.WithCancel(ctx)
	defer end()
	clients.Crowd(crowd, 600, 4*time.Second)
	b, err := browser.Start()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.Close()) }()

	var tabs []*browser.Tab
	for _, p := range pictures {
		tab, err := b.Open(p.look, after+5*time.Minute)
		if err != nil {
			return err
		}
		defer tab.Close()
		if err := tab.Run(chromedp.Navigate(scene.Page.URL)); err != nil {
			return err
		}
		tabs = append(tabs, tab)
	}
	fmt.Printf("letting 600 clients come and go for %v\n", after)
	select {
	case <-time.After(after):
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	for i, p := range pictures {
		path := filepath.Join(dir, p.name)
		if err := shoot(tabs[i], p.look, p.height, path); err != nil {
			return err
		}
		fmt.Println("wrote", path)
	}
	return shootCluster(b, filepath.Join(dir, "dashboard-cluster.png"))
}

// shoot writes what a tab shows.
func shoot(tab *browser.Tab, look browser.Look, height float64, path string) error {
	return shootPart(tab, page.Viewport{Width: float64(look.Width), Height: height, Scale: 1}, path)
}

func shootPart(tab *browser.Tab, part page.Viewport, path string) error {
	var shot []byte
	err := tab.Run(page.BringToFront(), chromedp.Sleep(3*time.Second), chromedp.ActionFunc(func(ctx context.Context) (err error) {
		shot, err = page.CaptureScreenshot().WithClip(&part).Do(ctx)
		return err
	}))
	if err != nil {
		return err
	}
	if said := tab.Complaints(); len(said) > 0 {
		return fmt.Errorf("the browser's console says: %q", said)
	}
	small, err := compress(shot)
	if err != nil {
		return err
	}
	return os.WriteFile(path, small, 0o644)
}

// compress makes a picture of few colours, which the page has.
func compress(shot []byte) ([]byte, error) {
	img, err := png.Decode(bytes.NewReader(shot))
	if err != nil {
		return nil, err
	}
	few := image.NewPaletted(img.Bounds(), colours(img))
	draw.Draw(few, few.Bounds(), img, img.Bounds().Min, draw.Src)
	var out bytes.Buffer
	err = (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&out, few)
	return out.Bytes(), err
}
