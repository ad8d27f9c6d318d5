package top

import (
	"cmp"
	"slices"
	"time"
	"unicode/utf8"

	tea "charm.land/bubbletea/v2"
)

// Columns are what sessions can be sorted by.
var Columns = []string{"id", "address", "age", "idle", "remaining"}

// Bounds of a query that dashboards keep to.
const (
	maxLimit  = 500
	maxFilter = 100 // characters
)

// model is the state of the live view. All its methods run on the goroutine of
// the program that shows it.
type model struct {
	feed   *feed
	name   string // of the server, as its URL
	glyphs glyphs

	width, height int
	history       history
	page          *sessionPage // the newest; nil if there is none, or if closed is shown
	closed        *closedList  // likewise, of the sessions that closed last
	refused       error        // why there is neither
	lost          error        // why the server does not answer, nil while it does
	lostAt        time.Time

	query  query
	help   bool   // the keys are shown
	typing bool   // a filter is being typed
	typed  string // so far
	paused bool
}

func newModel(f *feed, glyphs glyphs) *model {
	return &model{feed: f, name: f.server.String(), glyphs: glyphs, width: 80, height: 24, query: f.query}
}

// Init is called by the program once it runs.
func (m *model) Init() tea.Cmd { return nil }

// Update is called by the program with each event.
func (m *model) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.width, m.height = msg.Width, msg.Height
		if limit := max(1, min(m.height, maxLimit)); limit != m.query.limit {
			m.query.limit = limit
			m.feed.ask(m.query)
		}
	case sample:
		m.took(msg)
	case tea.PasteMsg:
		if m.typing {
			m.typeText(msg.Content)
		}
	case tea.KeyPressMsg:
		if m.typing {
			return m, m.typeKey(msg)
		}
		return m, m.key(msg.String())
	}
	return m, nil
}

// took is told what the server answered.
func (m *model) took(s sample) {
	if s.err != nil {
		if m.lost == nil {
			m.lostAt = s.at
		}
		m.lost = s.err
		return
	}
	m.lost = nil
	m.history.add(s.stats)
	if refused := cmp.Or(s.refused, s.refusedClosed); refused != nil {
		m.page, m.closed, m.refused = nil, nil, refused
		return
	}
	if s.asked != m.query || s.sessions == nil && s.closed == nil {
		return // an answer to an earlier query
	}
	m.page, m.closed, m.refused = s.sessions, s.closed, nil
	if m.page != nil && len(m.page.Sessions) == 0 && m.query.offset > 0 { // they are gone now
		m.turn(0)
	}
}

// key acts on a key outside of a filter's text.
func (m *model) key(name string) tea.Cmd {
	switch name {
	case "q", "ctrl+c":
		return tea.Quit
	case "ctrl+z":
		return tea.Suspend
	case "?":
		m.help = !m.help
		return nil
	}
	if m.help {
		m.help = name != "esc"
		return nil
	}
	switch name {
	case "n", "pgdown", "down":
		m.turn(1)
	case "p", "pgup", "up":
		m.turn(-1)
	case "g", "home":
		q := m.query
		q.offset = 0
		m.ask(q)
	case "space":
		m.paused = !m.paused
		m.feed.pause(m.paused)
	case "c":
		q := m.query
		q.open, q.closed, q.offset = q.closed, q.open, 0
		m.page, m.closed, m.refused = nil, nil, nil
		m.ask(q)
	default:
		if m.query.open {
			m.selectionKey(name)
		}
	}
	return nil
}

// selectionKey acts on a key that changes which open sessions are shown, or their
// order.
func (m *model) selectionKey(name string) {
	q := m.query
	switch name {
	case "s", "right":
		q.sort = Columns[(slices.Index(Columns, q.sort)+1)%len(Columns)]
	case "S", "left":
		q.sort = Columns[(slices.Index(Columns, q.sort)+len(Columns)-1)%len(Columns)]
	case "r":
		q.desc = !q.desc
	case "/", "f":
		m.typing, m.typed = true, q.filter
	case "esc":
		q.filter = ""
	}
	if q != m.query {
		q.offset = 0
		m.ask(q)
	}
}

// maxOffset is the greatest offset that the server allows.
const maxOffset = 10_000

// turn shows the next page of the table, the one before, or with 0 the last one.
func (m *model) turn(pages int) {
	n := 0 // rows of all pages
	switch {
	case m.page != nil:
		n = int(min(m.page.Matching, 1<<30))
	case m.closed != nil:
		n = len(m.closed.Sessions)
	default:
		return
	}
	rows, q := max(1, m.rows()), m.query
	last := min(max(0, n-1), maxOffset) / rows * rows
	if q.offset = last; pages != 0 {
		q.offset = min(max(0, m.query.offset+pages*rows), last)
	}
	if q != m.query {
		m.ask(q)
	}
}

// ask changes what the table shows.
func (m *model) ask(q query) {
	m.query = q
	m.feed.ask(q)
}

// typeKey acts on a key while a filter is being typed.
func (m *model) typeKey(k tea.KeyPressMsg) tea.Cmd {
	switch k.String() {
	case "ctrl+c":
		return tea.Quit
	case "esc":
		m.typing = false
	case "enter":
		m.typing = false
		if q := m.query; q.filter != m.typed {
			q.filter, q.offset = m.typed, 0
			m.ask(q)
		}
	case "backspace":
		_, n := utf8.DecodeLastRuneInString(m.typed)
		m.typed = m.typed[:len(m.typed)-n]
	case "ctrl+u":
		m.typed = ""
	default:
		m.typeText(k.Text)
	}
	return nil
}

// typeText adds to the filter what of text prints.
func (m *model) typeText(text string) {
	if text = m.typed + printable(text, maxFilter); utf8.RuneCountInString(text) <= maxFilter {
		m.typed = text
	}
}
