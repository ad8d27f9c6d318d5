package measure

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/sessionwheel/sessionwheel/lab/bench/load"
	"github.com/sessionwheel/sessionwheel/lab/bench/procstat"
	"github.com/sessionwheel/sessionwheel/lab/bench/servers"
)

// broadcaster begins the name of a server that broadcasts.
const broadcaster = "broadcaster:"

// requestPublish is followed by a publication.
const requestPublish = "publish "

// publication has a server that broadcasts post messages.
type publication struct {
	First    int           `json:"first"` // the number of the first
	Messages int           `json:"messages"`
	Interval time.Duration `json:"interval"` // from one to the next; 0: none
}

// rssEvery is how many messages are posted between two looks at the resident set.
const rssEvery = 32

// publish asks the server to post messages and waits until it has.
func (p *serverProcess) publish(what publication) (serverStatus, error) {
	text, err := json.Marshal(what)
	if err != nil {
		return serverStatus{}, fmt.Errorf("measure: %w", err)
	}
	return p.request(requestPublish + string(text))
}

// publish posts messages and notes how long each took.
func publish(h servers.Hub, request string, st *serverStatus) error {
	var what publication
	if err := json.Unmarshal([]byte(request), &what); err != nil {
		return fmt.Errorf("measure: %w", err)
	}
	frame := load.Frame(messageSize - len(load.Frame(0)))
	took := make([]time.Duration, 0, what.Messages)
	start := time.Now()
	for i := range what.Messages {
		time.Sleep(time.Until(start.Add(time.Duration(i) * what.Interval)))
		load.Message(frame, uint64(what.First+i))
		before := time.Now()
		h.Post(frame)
		took = append(took, time.Since(before))
		if what.Interval > 0 && i%rssEvery == 0 {
			st.PeakRSS = max(st.PeakRSS, procstat.ResidentSet(os.Getpid()))
		}
	}
	slices.Sort(took)
	st.P50, st.P99 = took[len(took)/2], took[len(took)*99/100]
	return nil
}
