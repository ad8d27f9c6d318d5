// Command scene plays what may happen on a bad day, to a page in a browser, and shows
// what the page says of it and after how long:
//
//	go run ./dashboard/browser/cmd/scene closings
//
// The exit status is 1 if the page does not say within five seconds what happens, to whom
// and what to do.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"time"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"github.com/sessionwheel/sessionwheel/dashboard/browser"
)

const (
	limit    = 5 * time.Second  // until the page has to say it
	patience = 30 * time.Second // until it is given up
	before   = 12 * time.Second // for which all is well, so that the page knows what is usual
)

func main() {
	picture := flag.String("picture", "", "write a picture of the page's top to this `file`")
	flag.Usage = usage
	flag.Parse()
	for _, s := range browser.Scenes {
		if flag.NArg() == 1 && flag.Arg(0) == s.Name {
			if err := play(s, *picture); err != nil {
				fmt.Fprintln(os.Stderr, "scene:", err)
				os.Exit(1)
			}
			return
		}
	}
	usage()
	os.Exit(2)
}

func usage() {
	fmt.Fprintln(os.Stderr, "usage: scene [-picture FILE] SCENE, where SCENE is one of")
	for _, s := range browser.Scenes {
		fmt.Fprintf(os.Stderr, "  %-9s %s\n", s.Name, s.About)
	}
}

// play plays a scene and prints what the page says.
func play(s browser.Scene, picture string) (err error) {
	b, err := browser.Start()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	stage, err := s.Start()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stage.Close()) }()
	tab, err := b.Open(browser.Screen{Width: 1240, Height: 900, Scale: 1.5}, 5*time.Minute)
	if err != nil {
		return err
	}
	defer tab.Close()
	if err := tab.Run(chromedp.Navigate(stage.URL), chromedp.WaitVisible("#counters .counter", chromedp.ByQuery)); err != nil {
		return err
	}
	fmt.Printf("%s\n%s, in %v\n", stage.URL, s.About, before)
	time.Sleep(before)
	if text, err := tab.Incidents(); err != nil || text != "" {
		return errors.Join(err, fmt.Errorf("the page warns before anything happens: %s", text))
	}
	began := time.Now()
	if err := stage.Wrong(); err != nil {
		return err
	}
	took, text, err := tab.AwaitIncident(s, began.Add(patience))
	if err != nil {
		return err
	}
	fmt.Printf("after %.1f s the page says:\n%s\n", took.Sub(began).Seconds(), text)
	if picture != "" {
		if err := shoot(tab, picture); err != nil {
			return err
		}
		fmt.Println("wrote", picture)
	}
	if took.Sub(began) > limit {
		return fmt.Errorf("that is later than %v", limit)
	}
	return nil
}

func shoot(tab *browser.Tab, path string) error {
	var shot []byte
	top := page.Viewport{Width: 1240, Height: 500, Scale: 1}
	err := tab.Run(chromedp.Sleep(500*time.Millisecond), chromedp.ActionFunc(func(ctx context.Context) (err error) {
		shot, err = page.CaptureScreenshot().WithClip(&top).Do(ctx)
		return err
	}))
	if err != nil {
		return err
	}
	small, err := browser.Compress(shot)
	if err != nil {
		return err
	}
	return os.WriteFile(path, small, 0o644)
}
