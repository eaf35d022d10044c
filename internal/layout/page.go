package layout

import "strings"

// Page lays a page of Markdown out in Columns columns, for a terminal.
//
// The lines of a paragraph or of a list item are joined and broken again, so the source
// may break them anywhere; tables are aligned. Indented lines were laid out by hand: they
// are never joined, and broken only if they are too wide and not code (four blanks).
func Page(page string) string {
	var b strings.Builder
	lines := strings.Split(strings.TrimSuffix(page, "\n"), "\n")
	for i := 0; i < len(lines); {
		n := 1
		switch kindOf(lines[i]) {
		case tableLine:
			n = run(lines[i:], func(l string) bool { return kindOf(l) == tableLine })
			b.WriteString(Table(cells(lines[i:i+n]), Columns))
		case itemLine:
			// An item goes on in lines that are not indented by more than its text.
			n += run(lines[i+1:], func(l string) bool {
				return kindOf(l) == textLine || kindOf(l) == otherLine && strings.HasPrefix(l, "  ")
			})
			b.WriteString(Hang("- ", joined(lines[i : i+n])[len("- "):], Columns) + "\n")
		case textLine:
			n = run(lines[i:], func(l string) bool { return kindOf(l) == textLine })
			b.WriteString(Hang("", joined(lines[i:i+n]), Columns) + "\n")
		case codeLine:
			b.WriteString(lines[i] + "\n")
		default:
			b.WriteString(Text(lines[i], Columns) + "\n")
		}
		i += n
	}
	return b.String()
}

// kind is what a line of a page is.
type kind int

const (
	otherLine kind = iota // empty, a heading, or indented by less than code
	codeLine
	textLine
	itemLine
	tableLine
)

func kindOf(line string) kind {
	switch {
	case strings.HasPrefix(line, "    "):
		return codeLine
	case strings.TrimSpace(line) == "", strings.HasPrefix(line, " "), strings.HasPrefix(line, "#"):
		return otherLine
	case strings.HasPrefix(line, "- "):
		return itemLine
	case strings.HasPrefix(line, "|"):
		return tableLine
	}
	return textLine
}

// run is the number of lines at the head of lines that are alike.
func run(lines []string, alike func(string) bool) (n int) {
	for n < len(lines) && alike(lines[n]) {
		n++
	}
	return n
}

func joined(lines []string) string {
	return strings.Join(strings.Fields(strings.Join(lines, " ")), " ")
}

// cells are the rows of a Markdown table, without the rule below its head. A bar in a
// cell is written \|.
func cells(lines []string) (rows [][]string) {
	const bar = "\x00"
	for _, l := range lines {
		l = strings.ReplaceAll(strings.TrimSpace(l), `\|`, bar)
		if strings.Trim(l, "|-: ") == "" {
			continue
		}
		var row []string
		for cell := range strings.SplitSeq(strings.Trim(l, "|"), "|") {
			row = append(row, strings.ReplaceAll(strings.TrimSpace(cell), bar, "|"))
		}
		rows = append(rows, row)
	}
	return rows
}
