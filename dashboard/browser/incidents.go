package browser

import (
	"fmt"
	"strings"
	"time"

	"github.com/chromedp/chromedp"
)

// Incidents returns what the page says at its top; "" if all is well.
func (t *Tab) Incidents() (text string, err error) {
	err = t.Run(chromedp.Evaluate(`[...document.querySelectorAll("#incidents li, #warning:not([hidden])")].map((e) => e.innerText).join("\n")`, &text))
	return strings.NewReplacer("\u2068", "", "\u2069", "").Replace(text), err // without the marks around foreign texts
}

// AwaitIncident waits until the page says all that it has to say of a scene, and returns
// when that was.
func (t *Tab) AwaitIncident(s Scene, end time.Time) (at time.Time, text string, err error) {
	for {
		if text, err = t.Incidents(); err != nil {
			return at, "", err
		}
		missing := ""
		for _, part := range s.Says {
			if !strings.Contains(text, part) {
				missing = part
				break
			}
		}
		if missing == "" {
			return time.Now(), text, nil
		}
		if time.Now().After(end) {
			return at, text, fmt.Errorf("browser: the page does not say %q: %s", missing, text)
		}
		time.Sleep(50 * time.Millisecond)
	}
}
