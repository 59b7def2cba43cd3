package main

import (
	"fmt"
	"io"
	"strings"
)

// table is what the program prints.
type table struct{ rows []row }

// row is a figure: what it is of, what we cost, what stands beside, and how the two compare.
type row struct {
	what, size, ours, beside, ratio, target string
}

// add appends a row whose ratio is ours to theirs. most is the target, 0 for none.
func (t *table) add(what string, size int, ours, theirs float64, format, beside string, most float64) {
	r := row{what: what, size: number(size), ours: fmt.Sprintf(format, ours), beside: fmt.Sprintf(format, theirs) + " " + beside, ratio: "-"}
	if theirs > 0 {
		ratio := ours / theirs
		r.ratio = fmt.Sprintf("%.2f", ratio)
		if most > 0 {
			r.target = verdict(ratio <= most, fmt.Sprintf("at most %.4g", most))
		}
	}
	t.rows = append(t.rows, r)
}

func verdict(met bool, target string) string {
	if met {
		return target + ": met"
	}
	return target + ": MISSED"
}

// number is such as 10,000; "" for 0.
func number(n int) string {
	switch {
	case n == 0:
		return ""
	case n < 1000:
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%s,%03d", number(n/1000), n%1000)
}

func (t *table) print(w io.Writer, note string) {
	lines := [][]string{{"what", "N", "ours", "beside", "ratio", "target"}}
	for _, r := range t.rows {
		lines = append(lines, []string{r.what, r.size, r.ours, r.beside, r.ratio, r.target})
	}
	widths := make([]int, len(lines[0]))
	for _, line := range lines {
		for i, cell := range line {
			widths[i] = max(widths[i], len(cell))
		}
	}
	for n, line := range lines {
		var text strings.Builder
		for i, cell := range line {
			fmt.Fprintf(&text, "| %-*s ", widths[i], cell)
		}
		fmt.Fprintln(w, text.String()+"|")
		if n == 0 {
			for _, width := range widths {
				fmt.Fprint(w, "|", strings.Repeat("-", width+2))
			}
			fmt.Fprintln(w, "|")
		}
	}
	fmt.Fprintf(w, "\n%s\n", note)
}
