package report

import (
	"bytes"
	"strings"
	"testing"

	"github.com/hpatune/hpatune/results"
)

// Amounts are in the currency of the price, in every output.
func TestCurrencyIsThatOfThePrice(t *testing.T) {
	page := pages()["advice"]
	euros := *page.Advice
	euros.Price.Currency = "EUR"
	page.Advice = &euros
	var page1, text, markdown, gate bytes.Buffer
	amount := 1.5
	judged := []results.Judgement{{Text: "usd_hour < 2", Unit: "usd", Currency: "EUR", Value: &amount, Verdict: results.Pass}}
	for _, err := range []error{
		HTML(&page1, page, Assets{}), TuneText(&text, page.Advice, page.Next), Markdown(&markdown, page), GateText(&gate, judged, results.Pass, ""),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for name, b := range map[string]*bytes.Buffer{"text": &text, "markdown": &markdown, "gate": &gate} {
		if s := b.String(); strings.Contains(s, "$") || !strings.Contains(s, "€") {
			t.Errorf("%s of a price in EUR: dollars, or no euros:\n%s", name, s)
		}
	}
	// The page's script has template literals of its own: amounts are told from them.
	body, _, _ := strings.Cut(page1.String(), "<script")
	if strings.Contains(body, "$") || !strings.Contains(body, "€") || !strings.Contains(page1.String(), `"money":"€"`) {
		t.Error("page of a price in EUR: dollars, or no euros")
	}
}
