package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/hpatune/hpatune/internal/logs"
	"github.com/hpatune/hpatune/internal/record"
	"github.com/hpatune/hpatune/results"
)

func newImportCmd(s streams) *cobra.Command {
	c := &cobra.Command{
		Use:   "import",
		Short: "Convert other recordings into a run",
		Args:  cobra.NoArgs,
	}
	c.AddCommand(newImportRequestsCmd(s))
	return c
}

func newImportRequestsCmd(s streams) *cobra.Command {
	var (
		o            logs.Options
		columns, out string
		objectives   []string
	)
	c := &cobra.Command{
		Use:   "requests FILE…",
		Short: "Convert request logs into a run",
		Long: `requests reads request logs and writes a run (kind: log). Use it with report and
fit, or with tune, where --startup and --requests describe the pods.

Formats are detected by their header:
  tables (comma, semicolon or tab) and JSON lines, with the arrival time and any
    of: prompt and answer tokens, first token, last token, end
  vllm bench serve --save-result --save-detailed (with start_times), guidellm's
    JSON report, aiperf's profile_export.jsonl, inference-perf's
    per_request_lifecycle_metrics.json
  access logs of nginx and Envoy in their default formats, others with --format

Times are seconds, milliseconds, microseconds or nanoseconds (a column name that
ends in _s, _ms, _us or _ns, or ":ms" after the name), Unix times, or RFC 3339.
TTFT and latency columns count from the arrival. Files may be gzipped. Lines
that are not requests are skipped and counted. Several files must share one
clock.`,
		Example: `  hpatune import requests server-log.csv --out results/night
  hpatune import requests log.csv \
    --columns t=arrived:ms,input=in,output=out,first=+wait:ms,done=+took:ms
  hpatune import requests access.log \
    --format '$msec $request_time $status $upstream_addr'`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			var err error
			if o.Columns, err = logs.ParseColumns(columns); err != nil {
				return exit(exitUsage, err)
			}
			if _, err := results.ParseObjectives(objectives); err != nil {
				return exit(exitUsage, err)
			}
			return s.importRequests(args, o, out, objectives)
		},
	}
	fl := c.Flags()
	fl.StringVar(&columns, "columns", "", "column names: t=NAME, input=, output=, queued=, first=, last=, done=, "+
		"status=, backend=, class=")
	fl.StringVar(&o.Format, "format", "", "access log format: nginx, envoy, or a format string")
	fl.StringArrayVar(&objectives, "objective", nil, "objective to check the run against (repeatable)")
	fl.StringVar(&out, "out", "", "run folder (default: results/FILE-TIME)")
	return c
}

// importRequests reads the files, writes the run and says what was read.
func (s streams) importRequests(files []string, o logs.Options, out string, objectives []string) error {
	dir, err := record.Import(files, o, out, objectives, version, s.say)
	if err != nil {
		return recordError(err)
	}
	_, err = fmt.Fprintf(s.out, "run: %s\n", dir)
	return err
}
