// Command pictures makes the README's pictures of the dashboard, from a real server
// with clients:
//
//	go run ./dashboard/browser/cmd/pictures
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"time"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"github.com/sessionwheel/sessionwheel/dashboard"
	"github.com/sessionwheel/sessionwheel/dashboard/browser"
)

func main() {
	dir := flag.String("dir", "docs", "write the pictures to this `folder`")
	after := flag.Duration("after", 5*time.Minute, "simulate clients for this `duration` first")
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

// pictures lists the pictures of the whole page.
var pictures = []struct {
	name   string
	screen browser.Screen
	height float64 // of the picture, in CSS pixels; the page may be longer
}{
	{"dashboard-light.png", browser.Screen{Width: 1240, Height: 1800, Scale: 1.5}, 1800},
	{"dashboard-dark.png", browser.Screen{Width: 1240, Height: 1800, Scale: 1.5, Dark: true}, 1800},
	{"dashboard-narrow.png", browser.Screen{Width: 390, Height: 1400, Scale: 2}, 1390},
}

func run(ctx context.Context, dir string, after time.Duration) (err error) {
	server, err := browser.StartEchoServer(20*time.Second, dashboard.Config{Title: "chat server", Authorize: func(*http.Request) error { return nil }})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.Close()) }()
	clients := browser.NewClients(server.Addr)
	defer func() { err = errors.Join(err, clients.Close()) }()
	simulation, end := context.WithCancel(ctx)
	defer end()
	clients.Simulate(simulation, 600, 4*time.Second)
	fmt.Printf("simulating 600 clients for %v\n", after)
	select {
	case <-time.After(after):
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	b, err := browser.Start()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	for _, p := range pictures {
		path := filepath.Join(dir, p.name)
		if err := shoot(b, server.Page.URL, p.screen, p.height, path); err != nil {
			return err
		}
		fmt.Println("wrote", path)
	}
	if n := server.Wheel.Stats().Rescued; n > 0 {
		return fmt.Errorf("the wheel's watchdog fired %d slots, of which the page warns: try again on a machine that is less busy", n)
	}
	return errors.Join(
		shootCluster(b, false, filepath.Join(dir, "dashboard-cluster.png")),
		shootCluster(b, true, filepath.Join(dir, "dashboard-cluster-dark.png")))
}

// shoot writes a picture of a page.
func shoot(b *browser.Browser, url string, screen browser.Screen, height float64, path string) error {
	tab, err := b.Open(screen, 5*time.Minute)
	if err != nil {
		return err
	}
	defer tab.Close()
	if err := tab.Run(chromedp.Navigate(url), chromedp.WaitVisible("#closed-rows tr", chromedp.ByQuery), chromedp.WaitVisible("#rows tr", chromedp.ByQuery)); err != nil {
		return err
	}
	return shootPart(tab, page.Viewport{Width: float64(screen.Width), Height: height, Scale: 1}, path)
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
	if messages := tab.Console(); len(messages) > 0 {
		return fmt.Errorf("the browser's console: %q", messages)
	}
	small, err := browser.Compress(shot)
	if err != nil {
		return err
	}
	return os.WriteFile(path, small, 0o644)
}
