package layout

import (
	"strings"
	"unicode/utf8"
)

// Table prints rows with aligned columns, each line indented by two, in lines of at
// most width columns. The first row is the head. The cells of a table that is too
// wide are broken between words, those of the widest columns first; columns for which
// that is not enough follow in a table of their own, beside the first column again.
//
// A row may have one cell more than the head: a note, printed below the row where it
// does not fit beside it. No line ends in blanks.
func Table(rows [][]string, width int) string {
	if len(rows) == 0 {
		return ""
	}
	const indent = 2
	n := len(rows[0])
	natural, least := make([]int, n), make([]int, n)
	for _, r := range rows {
		for i, cell := range r[:min(n, len(r))] {
			natural[i] = max(natural[i], utf8.RuneCountInString(cell))
			for _, p := range pieces(cell) {
				least[i] = max(least[i], utf8.RuneCountInString(p))
			}
		}
	}
	if natural[0] <= width/3 { // names of rows are broken last
		least[0] = natural[0]
	}
	gap, widths := 3, natural
	if indent+sum(widths)+gap*(n-1) > width {
		gap = 2
	}
	room := width - indent - gap*(n-1)
	if n > 2 && sum(least) > room {
		k := n - 1
		for k > 2 && sum(least[:k])+gap*(k-1)+indent > width {
			k--
		}
		return Table(cut(rows, 1, k), width) + "\n" + Table(cut(rows, k, n), width)
	}
	for sum(widths) > room {
		widest := -1
		for i := range widths {
			if widths[i] > least[i] && (widest < 0 || widths[i] >= widths[widest]) {
				widest = i
			}
		}
		if widest < 0 {
			break
		}
		widths[widest]--
	}
	beside := indent + sum(widths) + gap*n
	var b strings.Builder
	for _, r := range rows {
		note := ""
		if len(r) > n {
			note = r[n]
		}
		fits := note != "" && beside+utf8.RuneCountInString(note) <= width
		cells, height := make([][]string, n), 1
		for i := range min(n, len(r)) {
			cells[i] = []string{r[i]}
			if utf8.RuneCountInString(r[i]) > widths[i] {
				cells[i] = fill(pieces(r[i]), widths[i], widths[i])
			}
			height = max(height, len(cells[i]))
		}
		for y := range height {
			line := strings.Repeat(" ", indent)
			for i := range cells {
				text := ""
				if y < len(cells[i]) {
					text = cells[i][y]
				}
				line += text + strings.Repeat(" ", widths[i]-min(widths[i], utf8.RuneCountInString(text))+gap)
			}
			if y == 0 && fits {
				line += note
			}
			b.WriteString(strings.TrimRight(line, " ") + "\n")
		}
		if note != "" && !fits {
			b.WriteString(Hang("      ", note, width) + "\n")
		}
	}
	return b.String()
}

// cut is the first column of rows, and those from one to before another, notes with
// the last.
func cut(rows [][]string, from, to int) [][]string {
	n := len(rows[0])
	out := make([][]string, len(rows))
	for i, r := range rows {
		out[i] = append(out[i], r[:min(1, len(r))]...)
		if from < len(r) {
			end := min(to, len(r))
			if to == n {
				end = len(r)
			}
			out[i] = append(out[i], r[from:end]...)
		}
	}
	return out
}

func sum(xs []int) (total int) {
	for _, x := range xs {
		total += x
	}
	return total
}
