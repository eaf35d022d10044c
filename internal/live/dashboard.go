package live

import (
	"time"

	tea "charm.land/bubbletea/v2"
)

// frameEvery is the wall time between two frames: faster than that, nobody reads figures.
const frameEvery = 250 * time.Millisecond

// dashboard draws frames in place until Close; the last one stays. It takes no
// input, so the terminal keeps turning ctrl-c into a signal.
func (l *Live) dashboard() {
	p := tea.NewProgram(&screen{live: l, width: 80}, tea.WithOutput(l.w), tea.WithInput(nil), tea.WithoutSignalHandler())
	go func() {
		<-l.stop
		p.Send(last{})
	}()
	if _, err := p.Run(); err != nil { // no terminal after all
		l.lines()
	}
}

// screen is bubbletea's model of the dashboard.
type screen struct {
	live  *Live
	width int
}

type (
	tick struct{} // time for a frame
	last struct{} // the last one
)

func next() tea.Cmd { return tea.Tick(frameEvery, func(time.Time) tea.Msg { return tick{} }) }

// Init implements tea.Model.
func (s *screen) Init() tea.Cmd { return next() }

// Update implements tea.Model.
func (s *screen) Update(m tea.Msg) (tea.Model, tea.Cmd) {
	switch m := m.(type) {
	case tea.WindowSizeMsg:
		s.width = m.Width
	case tick:
		return s, next()
	case last:
		return s, tea.Quit
	}
	return s, nil
}

// View implements tea.Model.
func (s *screen) View() tea.View {
	s.live.mu.Lock()
	defer s.live.mu.Unlock()
	return tea.NewView(s.live.view.frame(s.live.o.Clock.At(time.Now()), s.width))
}
