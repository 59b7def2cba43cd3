package provider

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/terraform-plugin-framework-validators/int64validator"
	"github.com/hashicorp/terraform-plugin-framework-validators/listvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/mapvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/setvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/object"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/pkcs11uri"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/provider/diagnose"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/publickey"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/x509cert"
)

// notEmpty refuses "" for a setting that the environment can give.
type notEmpty struct{ variable string }

func (v notEmpty) Description(context.Context) string {
	return fmt.Sprintf("not empty: leave it out to take %s from the environment", v.variable)
}

func (v notEmpty) MarkdownDescription(ctx context.Context) string { return v.Description(ctx) }

func (v notEmpty) ValidateString(_ context.Context, req validator.StringRequest, resp *validator.StringResponse) {
	if req.ConfigValue.IsUnknown() || req.ConfigValue.IsNull() || req.ConfigValue.ValueString() != "" {
		return
	}
	resp.Diagnostics.Append(emptyAttribute(req.Path, v.variable))
}

// parsed accepts what a parser accepts.
type parsed struct {
	is, title string // what it accepts, and the summary of the error
	parse     func(string) error
	hint      string // after the parser's own words
	// instead is a better hint for a text, which it may repeat; "" for none.
	instead  func(string) string
	named    bool // the parser's words go behind the name of the attribute
	emptyToo bool // accepts "" too: notEmpty, which stands beside it, refuses that
}

var (
	slotID = parsed{
		is: "a slot ID, decimal or hexadecimal with 0x in front", title: "Invalid Slot ID", emptyToo: true,
		parse: func(s string) error { _, err := hsm.ParseSlot(s); return err },
	}
	userType = parsed{
		is: "user, so or context, or a number, decimal or hexadecimal with 0x in front", title: "Invalid User Type", emptyToo: true,
		parse: func(s string) error { _, err := hsm.ParseUser(s); return err },
	}
	keyID = parsed{
		is: "the hexadecimal digits of CKA_ID, two for each byte, 1 to 255 bytes", title: "Invalid Key ID",
		parse: func(s string) error { _, err := object.ParseID(s); return err },
		hint:  " The text \"key-1\", for example, is 6b65792d31.", instead: meantKeyID,
	}
	certificatePEM = parsed{
		is: "one certificate in PEM", title: "Invalid Certificate",
		parse: func(s string) error { _, err := x509cert.ParseCertificate(s); return err },
	}
	sha256Hex = parsed{
		is: "a SHA-256 fingerprint: 64 hexadecimal digits", title: "Invalid Fingerprint",
		parse: func(s string) error {
			if sum, err := hex.DecodeString(s); err != nil || len(sum) != sha256.Size {
				return errors.New("it does not have 64 hexadecimal digits, without colons")
			}
			return nil
		},
	}
	pkcs11URI = parsed{
		is: "a PKCS#11 URI (RFC 7512) without a PIN, such as pkcs11:object=web;id=%6B31", title: "Invalid PKCS#11 URI",
		parse: func(s string) error { _, err := pkcs11uri.Parse(s); return err },
	}
	newTokenLabel = parsed{
		is: "the label of a token", title: "Invalid Token Label", named: true,
		parse: func(s string) error {
			switch {
			case s == "":
				return errors.New("is empty")
			case len(s) > hsm.MaxTokenLabel:
				return fmt.Errorf("has %d bytes", len(s))
			case strings.TrimRight(s, " \x00") != s:
				return errors.New("ends with a blank, and a token does not keep that")
			}
			return nil
		},
		hint: fmt.Sprintf(" It must have 1 to %d bytes, and no blank at its end.", hsm.MaxTokenLabel),
	}
	publishTime = parsed{
		is: "a length of time, such as 24h, 2d or 0s", title: "Invalid Length Of Time", named: true,
		parse: func(s string) error { _, err := parsePeriod(s); return err },
	}
	generationPrefix = parsed{
		is: "a text that does not end in a digit", title: "Invalid Prefix", named: true,
		parse: func(s string) error {
			switch {
			case s == "":
				return errors.New("is empty")
			case strings.TrimRight(s, "0123456789") != s:
				return fmt.Errorf("is %q, which ends in a digit: nobody could tell where the number of the "+
					"generation begins", s)
			}
			return nil
		},
	}
	duration = parsed{
		is: "a length of time above zero, such as 30s or 1h30m", title: "Invalid Timeout", parse: parseTimeout, named: true,
		hint: " It must be numbers with units (h, m, s), such as \"30s\" or \"1h30m\", and more than zero.",
	}
)

func parseTimeout(s string) error {
	limit, err := time.ParseDuration(s)
	switch {
	case err == nil && limit > 0:
		return nil
	case err == nil && limit < 0:
		return fmt.Errorf("is %q, which is negative", s)
	case err == nil:
		return fmt.Errorf("is %q, which leaves no time", s)
	}
	if days, ok := strings.CutSuffix(s, "d"); ok {
		if n, err := strconv.ParseUint(days, 10, 16); err == nil {
			return fmt.Errorf("is %q, and there is no unit for days; in hours it is \"%dh\"", s, n*24)
		}
	}
	return fmt.Errorf("is %q, which is not a length of time", s)
}

// parsePeriod reads a length of time that may be long: that of Go's durations, with days in front: "90d", "1d12h",
// "30m".
func parsePeriod(s string) (time.Duration, error) {
	const day = 24 * time.Hour
	text, days := s, uint64(0)
	if number, rest, ok := strings.Cut(s, "d"); ok {
		n, err := strconv.ParseUint(number, 10, 64)
		switch {
		case errors.Is(err, strconv.ErrRange) || n > uint64(math.MaxInt64/day):
			return 0, tooLong(s)
		case err != nil:
			return 0, noPeriod(s)
		}
		if text, days = rest, n; rest == "" {
			text = "0s"
		}
	}
	rest, err := time.ParseDuration(text)
	length := time.Duration(days)*day + rest
	switch {
	case err != nil:
		return 0, noPeriod(s)
	case rest < 0:
		return 0, fmt.Errorf("is %q, which is negative", s)
	case length < 0:
		return 0, tooLong(s)
	}
	return length, nil
}

func noPeriod(s string) error {
	return fmt.Errorf("is %q, which is not a length of time such as 90d, 12h or 1d12h", s)
}

func tooLong(s string) error { return fmt.Errorf("is %q, which is more than 292 years", s) }

// meantKeyID says which key ID a text may be meant for.
func meantKeyID(s string) string {
	bare := strings.NewReplacer(":", "", " ", "").Replace(s)
	if prefixed := strings.ToLower(bare); strings.HasPrefix(prefixed, "0x") {
		bare = bare[2:]
	}
	if id, err := object.ParseID(bare); err == nil {
		return fmt.Sprintf(" Write the digits alone, without 0x, colons and blanks: %s.", object.FormatID(id))
	}
	if pkcs11uri.Meant(s) {
		return " This is a PKCS#11 URI, and not a key ID."
	}
	_, err := hex.DecodeString(s)
	if id, tooLong := object.TextID(s); tooLong == nil && errors.As(err, new(hex.InvalidByteError)) {
		return fmt.Sprintf(" The text %q is the key ID %s, which provider::hsm::key_id(%[1]q) makes of it.", s,
			object.FormatID(id))
	}
	return ""
}

func (v parsed) Description(context.Context) string { return v.is }

func (v parsed) MarkdownDescription(context.Context) string { return v.is }

func (v parsed) ValidateString(_ context.Context, req validator.StringRequest, resp *validator.StringResponse) {
	s := req.ConfigValue
	if s.IsUnknown() || s.IsNull() || v.emptyToo && s.ValueString() == "" {
		return
	}
	err := v.parse(s.ValueString())
	switch {
	case err == nil:
		return
	case errors.Is(err, pkcs11uri.ErrPIN), pkcs11uri.MayHavePIN(s.ValueString()):
		// without the path: Terraform shows the line that it leads to
		resp.Diagnostics.AddError(v.title, fmt.Sprintf("%s: %s%s", req.Path, diagnose.Sentence(err.Error()), v.hint))
		return
	}
	hint := v.hint
	if v.instead != nil {
		hint = cmp.Or(v.instead(s.ValueString()), hint)
	}
	text := diagnose.Sentence(err.Error())
	if v.named {
		text = fmt.Sprintf("%s %s.", req.Path, err)
	}
	resp.Diagnostics.AddAttributeError(req.Path, v.title, text+hint)
}

// number accepts the numbers that fit.
type number struct {
	is   string
	fits func(int64) bool
}

var odd = number{"an odd number", func(n int64) bool { return n%2 != 0 }}

// multipleOf accepts whole multiples of a number.
func multipleOf(unit int64) number {
	return number{fmt.Sprintf("a multiple of %d", unit), func(n int64) bool { return n%unit == 0 }}
}

func (v number) Description(context.Context) string { return v.is }

func (v number) MarkdownDescription(context.Context) string { return v.is }

func (v number) ValidateInt64(_ context.Context, req validator.Int64Request, resp *validator.Int64Response) {
	n := req.ConfigValue
	if n.IsUnknown() || n.IsNull() || v.fits(n.ValueInt64()) {
		return
	}
	resp.Diagnostics.AddAttributeError(req.Path, "Invalid Number", fmt.Sprintf("%s is %d. It must be %s.", req.Path, n.ValueInt64(), v.is))
}

// worded is a validator of the plugin framework's library with a title and words of ours: what is wrong, and what to write
// instead. No schema uses those validators without it.
type worded struct {
	validator.Describer        // the library's
	title               string // the summary of the error
	instead             string // full sentences
	// called is the accepted word for what somebody else calls otherwise; "" where there is none.
	called func(string) string
}

// oneOf accepts some words and no others.
func oneOf(words ...string) validator.String {
	last := len(words) - 1
	choice := fmt.Sprintf("%q", words[last])
	if last > 0 {
		choice = `"` + strings.Join(words[:last], `", "`) + `" or ` + choice
	}
	return worded{stringvalidator.OneOf(words...), "Unknown Word", "It must be " + choice + ".",
		func(other string) string {
			i := slices.IndexFunc(words, func(word string) bool {
				return strings.EqualFold(word, other) || word == publickey.CurveCalled(other)
			})
			if i < 0 {
				return ""
			}
			return words[i]
		}}
}

// someText refuses "", where null leaves the argument out.
func someText() validator.String {
	return worded{stringvalidator.LengthAtLeast(1), "Invalid Length", "It must have at least one character. Leave it out if " +
		"you do not want it.", nil}
}

func atMostBytes(n int) validator.String {
	return worded{stringvalidator.LengthAtMost(n), "Invalid Length", fmt.Sprintf("It must have at most %d bytes. Choose a shorter "+
		"one.", n), nil}
}

func atLeast(n int64) validator.Int64 {
	return worded{int64validator.AtLeast(n), "Invalid Number", fmt.Sprintf("It must be %d or more.", n), nil}
}

func between(least, most int64) validator.Int64 {
	return worded{int64validator.Between(least, most), "Invalid Number", fmt.Sprintf("It must be from %d to %d.", least,
		most), nil}
}

const nullTitle, noNull = "Null In A Collection", "Leave null out of it, or give a value in its place."

// someWords accepts sets of one or more of some words.
func someWords(words ...string) []validator.Set {
	return []validator.Set{
		worded{setvalidator.SizeAtLeast(1), "Nothing Given", "Name at least one: " + strings.Join(words, ", ") + ".", nil},
		worded{setvalidator.NoNullValues(), nullTitle, noNull, nil}, setvalidator.ValueStringsAre(oneOf(words...)),
	}
}

// listOf accepts lists of texts that are all valid.
func listOf(valid ...validator.String) []validator.List {
	return []validator.List{worded{listvalidator.NoNullValues(), nullTitle, noNull, nil},
		listvalidator.ValueStringsAre(valid...)}
}

// mapBy accepts maps whose keys are some words.
func mapBy(words ...string) []validator.Map {
	return []validator.Map{worded{mapvalidator.NoNullValues(), nullTitle, noNull, nil},
		mapvalidator.KeysAre(oneOf(words...))}
}

const combinationTitle = "Invalid Combination Of Arguments"

// exactlyOne accepts configurations that give one of some arguments.
func exactlyOne(of, instead string, arguments ...string) validator.String {
	return worded{stringvalidator.ExactlyOneOf(expressions(arguments)...), combinationTitle, "Exactly one of " + of +
		" must be given. " + instead, nil}
}

// without accepts configurations that give none of some other arguments besides this one.
func without(instead string, arguments ...string) validator.String {
	return worded{stringvalidator.ConflictsWith(expressions(arguments)...), combinationTitle, instead, nil}
}

func expressions(arguments []string) (all []path.Expression) {
	for _, name := range arguments {
		all = append(all, path.MatchRoot(name))
	}
	return all
}

// tell gives what the library's validator said in words of ours.
func (v worded) tell(said diag.Diagnostics, value attr.Value) (diags diag.Diagnostics) {
	for _, d := range said {
		at := path.Empty()
		if located, ok := d.(diag.DiagnosticWithPath); ok {
			at = located.Path()
		}
		detail := v.instead
		if v.title != combinationTitle { // which is about several arguments
			detail = fmt.Sprintf("%s is %s%s. %s", subjectOf(at), value, v.known(value), v.instead)
		}
		diags.AddAttributeError(at, v.title, detail)
	}
	return diags
}

// known says what a word is called here that others know by another name.
func (v worded) known(value attr.Value) string {
	text, ok := value.(types.String)
	if !ok || v.called == nil {
		return ""
	}
	word := v.called(text.ValueString())
	if word == "" {
		return ""
	}
	return fmt.Sprintf(", which is called %q here", word)
}

// subjectOf names what stands at a path: labels[0], an element of usage, a key of algorithms.
func subjectOf(at path.Path) string {
	steps := at.Steps()
	if len(steps) == 0 {
		return "A value"
	}
	switch steps[len(steps)-1].(type) {
	case path.PathStepElementKeyValue:
		return "An element of " + at.ParentPath().String()
	case path.PathStepElementKeyString:
		return "A key of " + at.ParentPath().String()
	}
	return at.String()
}

func (v worded) ValidateString(ctx context.Context, req validator.StringRequest, resp *validator.StringResponse) {
	var said validator.StringResponse
	v.Describer.(validator.String).ValidateString(ctx, req, &said)
	resp.Diagnostics.Append(v.tell(said.Diagnostics, req.ConfigValue)...)
}

func (v worded) ValidateInt64(ctx context.Context, req validator.Int64Request, resp *validator.Int64Response) {
	var said validator.Int64Response
	v.Describer.(validator.Int64).ValidateInt64(ctx, req, &said)
	resp.Diagnostics.Append(v.tell(said.Diagnostics, req.ConfigValue)...)
}

func (v worded) ValidateSet(ctx context.Context, req validator.SetRequest, resp *validator.SetResponse) {
	var said validator.SetResponse
	v.Describer.(validator.Set).ValidateSet(ctx, req, &said)
	resp.Diagnostics.Append(v.tell(said.Diagnostics, req.ConfigValue)...)
}

func (v worded) ValidateList(ctx context.Context, req validator.ListRequest, resp *validator.ListResponse) {
	var said validator.ListResponse
	v.Describer.(validator.List).ValidateList(ctx, req, &said)
	resp.Diagnostics.Append(v.tell(said.Diagnostics, req.ConfigValue)...)
}

func (v worded) ValidateMap(ctx context.Context, req validator.MapRequest, resp *validator.MapResponse) {
	var said validator.MapResponse
	v.Describer.(validator.Map).ValidateMap(ctx, req, &said)
	resp.Diagnostics.Append(v.tell(said.Diagnostics, req.ConfigValue)...)
}
