package provider

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/function"
)

// generationFunction gives the generation of a key ring by the calendar.
type generationFunction struct{}

func newGenerationFunction() function.Function { return generationFunction{} }

func (generationFunction) Metadata(_ context.Context, _ function.MetadataRequest, resp *function.MetadataResponse) {
	resp.Name = "generation"
}

func (generationFunction) Definition(_ context.Context, _ function.DefinitionRequest,
	resp *function.DefinitionResponse) {
	resp.Definition = function.Definition{
		Summary: "Gives the generation of a key ring by the calendar",
		MarkdownDescription: "How many periods have begun since a time: the `generation` of an `hsm_key_ring` that " +
			"rotates by the calendar. It is 1 up to the end of the first period.\n\n```terraform\ngeneration = " +
			"provider::hsm::generation(\"2026-01-01T00:00:00Z\", \"90d\", plantimestamp())\n```\n\nA ring turns by " +
			"one generation in an apply. So let Terraform run at least once in each period.",
		Parameters: []function.Parameter{
			function.StringParameter{Name: "start", MarkdownDescription: "When the first period begins, in RFC 3339: " +
				"`2026-01-01T00:00:00Z`."},
			function.StringParameter{Name: "period", MarkdownDescription: "Length of a period, such as `90d`, `12h` " +
				"or `1d12h`. A day has 24 hours."},
			function.StringParameter{Name: "at", MarkdownDescription: "The time to give the generation of, in RFC " +
				"3339: `plantimestamp()`."},
		},
		Return: function.Int64Return{},
	}
}

func (generationFunction) Run(ctx context.Context, req function.RunRequest, resp *function.RunResponse) {
	defer recoverFunction(resp)
	var start, period, at string
	if resp.Error = req.Arguments.Get(ctx, &start, &period, &at); resp.Error != nil {
		return
	}
	from, err := time.Parse(time.RFC3339, start)
	if err != nil {
		resp.Error = atArgument(0, notATime(start))
		return
	}
	length, err := parsePeriod(period)
	if err == nil && length <= 0 {
		err = errors.New("must be more than zero")
	}
	if err != nil {
		resp.Error = atArgument(1, err)
		return
	}
	to, err := time.Parse(time.RFC3339, at)
	if err != nil {
		resp.Error = atArgument(2, notATime(at))
		return
	}
	generation, err := generationAt(from, length, to)
	if err != nil {
		resp.Error = atArgument(2, err)
		return
	}
	resp.Error = resp.Result.Set(ctx, generation)
}

func notATime(text string) error {
	return fmt.Errorf("%q is not a time in RFC 3339, such as 2026-01-01T00:00:00Z", text)
}

// generationAt is 1 up to the end of the first period.
func generationAt(start time.Time, period time.Duration, at time.Time) (int64, error) {
	since := at.Sub(start) // of more than 292 years it is the longest or the shortest there is
	if since == math.MaxInt64 {
		return 0, errors.New("the time is more than 292 years after the start")
	}
	if since < 0 {
		return 1, nil
	}
	return 1 + int64(since/period), nil
}
