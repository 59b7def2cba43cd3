package provider

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/x509cert"
)

func someString(text string) tftypes.Value { return tftypes.NewValue(tftypes.String, text) }

var unknownString = tftypes.NewValue(tftypes.String, tftypes.UnknownValue)

func TestWhatSaysTheSame(t *testing.T) {
	list := func(texts ...string) tftypes.Value {
		elements := []tftypes.Value{}
		for _, text := range texts {
			elements = append(elements, someString(text))
		}
		return tftypes.NewValue(tftypes.List{ElementType: tftypes.String}, elements)
	}
	object := func(text, more tftypes.Value) tftypes.Value {
		return tftypes.NewValue(tftypes.Object{AttributeTypes: map[string]tftypes.Type{
			"text": text.Type(), "list": more.Type(),
		}}, map[string]tftypes.Value{"text": text, "list": more})
	}
	none := func(like tftypes.Value) tftypes.Value { return tftypes.NewValue(like.Type(), nil) }
	empty := object(someString(""), list())
	for name, c := range map[string]struct {
		a, b tftypes.Value
		want bool
	}{
		"a text and itself":             {someString("a"), someString("a"), true},
		"a text and another":            {someString("a"), someString("b"), false},
		"a text and none":               {someString("a"), none(someString("")), false},
		"an empty text and none":        {someString(""), none(someString("")), true},
		"a text to come and none":       {unknownString, none(someString("")), false},
		"a text to come and a text":     {unknownString, someString("a"), false},
		"an empty list and none":        {list(), none(list()), true},
		"a list in another order":       {list("a", "b"), list("b", "a"), false},
		"an object and none":            {object(someString("a"), list()), none(empty), false},
		"an object of nothing and none": {empty, none(empty), true},
		"an object with a text to come": {object(unknownString, list()), none(empty), false},
		"objects whose empty parts are left out": {object(someString("a"), list()),
			object(someString("a"), none(list())), true},
		"objects that differ": {object(someString("a"), list("b")), object(someString("a"), list()), false},
		"numbers":             {tftypes.NewValue(tftypes.Number, 0), tftypes.NewValue(tftypes.Number, nil), false},
	} {
		if sayTheSame(c.a, c.b) != c.want || sayTheSame(c.b, c.a) != c.want {
			t.Errorf("%s: want %v", name, c.want)
		}
	}
}

func TestWhichPathLengthsAreTheSame(t *testing.T) {
	bound := func(length any, isCA bool) fields {
		return fields{"max_path_length": tftypes.NewValue(tftypes.Number, length),
			"is_ca_certificate": tftypes.NewValue(tftypes.Bool, isCA)}
	}
	for name, c := range map[string]struct {
		is, was fields
		want    bool
	}{
		"0 is a bound":            {bound(0, true), bound(nil, true), false},
		"-1 is none":              {bound(-1, true), bound(nil, true), true},
		"of what is no CA":        {bound(3, false), bound(nil, false), true},
		"another one":             {bound(1, true), bound(2, true), false},
		"one that is known later": {bound(tftypes.UnknownValue, true), bound(nil, true), false},
	} {
		if samePathLength(c.is, c.was) != c.want {
			t.Errorf("%s: want %v", name, c.want)
		}
	}
}

func TestWhichDatesAreTheSame(t *testing.T) {
	was := fields{validityStart: someString("2030-01-01T00:00:00Z"), validityEnd: someString("2030-01-02T00:00:00Z")}
	dates := func(hours any, notBefore tftypes.Value) fields {
		return fields{"validity_period_hours": tftypes.NewValue(tftypes.Number, hours), "not_before": notBefore}
	}
	null := tftypes.NewValue(tftypes.String, nil)
	for name, c := range map[string]struct {
		is   fields
		want bool
	}{
		"no beginning":            {dates(24, null), true},
		"another length":          {dates(25, null), false},
		"a length to come":        {dates(tftypes.UnknownValue, null), false},
		"the same, in a zone":     {dates(24, someString("2030-01-01T01:00:00+01:00")), true},
		"the same, and a moment":  {dates(24, someString("2030-01-01T00:00:00.9Z")), true},
		"a second later":          {dates(24, someString("2030-01-01T00:00:01Z")), false},
		"a beginning to come":     {dates(24, unknownString), false},
		"a beginning, and longer": {dates(25, someString("2030-01-01T00:00:00Z")), false},
	} {
		if sameDates(c.is, was) != c.want {
			t.Errorf("%s: want %v", name, c.want)
		}
	}
}

func TestWhichCAsAreTheSame(t *testing.T) {
	keys := make([]*ecdsa.PrivateKey, 2)
	for i := range keys {
		var err error
		if keys[i], err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
			t.Fatal(err)
		}
	}
	ca := func(key int, name string, id byte, serial int64) string {
		template := &x509.Certificate{SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name},
			SubjectKeyId: []byte{id}, IsCA: true, BasicConstraintsValid: true}
		der, err := x509.CreateCertificate(rand.Reader, template, template, keys[key].Public(), keys[key])
		if err != nil {
			t.Fatal(err)
		}
		return x509cert.CertificatePEM(der)
	}
	was := ca(0, "CA", 1, 1)
	for name, c := range map[string]struct {
		is   string
		want bool
	}{
		"renewed":            {ca(0, "CA", 1, 2), true},
		"of another key":     {ca(1, "CA", 1, 1), false},
		"of another name":    {ca(0, "Other", 1, 1), false},
		"another identifier": {ca(0, "CA", 2, 1), false},
		"not known yet":      {"", false},
	} {
		if sameCAIn(c.is, was) != c.want {
			t.Errorf("%s: want %v", name, c.want)
		}
	}
}

func TestWhichRevocationsAreTheSame(t *testing.T) {
	of := map[string]tftypes.Type{"serial_number": tftypes.String, "time": tftypes.String, "reason": tftypes.String}
	entry := func(serial, at, reason tftypes.Value) tftypes.Value {
		return tftypes.NewValue(tftypes.Object{AttributeTypes: of}, map[string]tftypes.Value{"serial_number": serial,
			"time": at, "reason": reason})
	}
	list := func(entries any) fields {
		many := tftypes.List{ElementType: tftypes.Object{AttributeTypes: of}}
		return fields{"revoked": tftypes.NewValue(many, entries)}
	}
	at, null := someString("2030-01-01T00:00:00Z"), tftypes.NewValue(tftypes.String, nil)
	plain := entry(someString("0a"), at, null)
	one, soon := list([]tftypes.Value{plain}), someString("2030-01-01T00:00:01Z")
	for name, c := range map[string]struct {
		is   fields
		want bool
	}{
		"written otherwise": {list([]tftypes.Value{
			entry(someString("A"), someString("2030-01-01T01:00:00+01:00"), someString("unspecified"))}), true},
		"none":                 {list(nil), false},
		"not known yet":        {list(tftypes.UnknownValue), false},
		"twice the same":       {list([]tftypes.Value{plain, plain}), false},
		"another number":       {list([]tftypes.Value{entry(someString("0b"), at, null)}), false},
		"a number to come":     {list([]tftypes.Value{entry(unknownString, at, null)}), false},
		"another time":         {list([]tftypes.Value{entry(someString("0a"), soon, null)}), false},
		"another reason":       {list([]tftypes.Value{entry(someString("0a"), at, someString("superseded"))}), false},
		"a reason to come":     {list([]tftypes.Value{entry(someString("0a"), at, unknownString)}), false},
		"one more than before": {list([]tftypes.Value{plain, entry(someString("0b"), at, null)}), false},
	} {
		if sameRevocations(c.is, one) != c.want {
			t.Errorf("%s: want %v", name, c.want)
		}
	}
	if !sameRevocations(list(nil), list([]tftypes.Value{})) {
		t.Error("an empty list says something else than none")
	}
}

// An entry may go once a list had it that was signed after the certificate's last second.
func TestWhichRevocationsMayGo(t *testing.T) {
	ends := time.Date(2030, 1, 2, 0, 0, 0, 0, time.UTC)
	entry := func(reason string, expires time.Time) revocation {
		r := x509cert.Revocation{Serial: big.NewInt(10), Time: ends.Add(-time.Hour), Reason: reason}
		return revocation{r, expires}
	}
	replaced := entry("superseded", ends)
	other := replaced
	other.Time = ends
	for name, c := range map[string]struct {
		was  revocation
		is   []revocation
		last time.Time
		says string // of the summary; "": nothing
	}{
		"its list came before its end":     {entry("", ends), nil, ends.Add(-time.Second), "Dropped"},
		"its list came in its last second": {entry("", ends), nil, ends, "Dropped"},
		"its list came after its end":      {entry("", ends), nil, ends.Add(time.Second), ""},
		"its end is not said":              {entry("", time.Time{}), nil, ends.Add(time.Hour), "Dropped"},
		"it was held":                      {entry("certificate_hold", time.Time{}), nil, ends, ""},
		"it stays":                         {replaced, []revocation{replaced}, ends, ""},
		"it gets a reason":                 {entry("", ends), []revocation{replaced}, ends, ""},
		"... after unspecified":            {entry("unspecified", ends), []revocation{replaced}, ends, ""},
		"it gets another reason":           {replaced, []revocation{entry("", ends)}, ends, "Changes"},
		"it gets another time":             {replaced, []revocation{other}, ends, "Changes"},
	} {
		diags := lostRevocations([]revocation{c.was}, c.is, c.last)
		if c.says == "" && len(diags) > 0 || c.says != "" && (len(diags) != 1 ||
			!strings.HasSuffix(diags[0].Summary(), c.says)) {
			t.Errorf("%s: %v", name, diags)
		}
	}
}

func TestWhenAListBegins(t *testing.T) {
	now := time.Date(2030, 1, 1, 12, 0, 0, 5, time.UTC)
	aMinuteAgo, anHourAgo := time.Date(2030, 1, 1, 11, 59, 0, 0, time.UTC), now.Add(-time.Hour)
	for name, c := range map[string]struct {
		caBegins, revoked, want time.Time
	}{
		"long after both":        {anHourAgo, anHourAgo, aMinuteAgo},
		"right after the CA":     {aMinuteAgo.Add(time.Second), anHourAgo, aMinuteAgo.Add(time.Second)},
		"right after an entry":   {anHourAgo, aMinuteAgo.Add(2 * time.Second), aMinuteAgo.Add(2 * time.Second)},
		"before what is to come": {now.Add(time.Second), now.Add(time.Hour), aMinuteAgo},
		"at this moment":         {anHourAgo, now, now},
	} {
		begins := thisUpdate(now, &x509.Certificate{NotBefore: c.caBegins}, []x509cert.Revocation{{Time: c.revoked}})
		if !begins.Equal(c.want) {
			t.Errorf("%s: it begins at %s", name, begins)
		}
	}
	if begins := thisUpdate(now, nil, nil); !begins.Equal(aMinuteAgo) {
		t.Errorf("without a CA it begins at %s", begins)
	}
}

func TestWhichSerialNumbersAreGivenTwice(t *testing.T) {
	serial := func(number string, more ...string) fields {
		f := fields{serialArgument: someString(number)}
		for _, name := range more {
			f[name] = someString("x")
		}
		return f
	}
	later := serial("0a")
	later["ca_cert_pem"] = unknownString
	none := fields{serialArgument: tftypes.NewValue(tftypes.String, nil)}
	for name, c := range map[string]struct {
		is, was, config fields
		changed         string
		want            bool
	}{
		"the same":                  {serial("0a"), serial("A"), serial("0a"), "dns_names", true},
		"another":                   {serial("0b"), serial("0a"), serial("0b"), serialArgument, false},
		"not given":                 {serial("0a"), serial("0a"), none, "dns_names", false},
		"of another subject":        {serial("0a"), serial("0a"), serial("0a"), "subject", false},
		"of another issued subject": {serial("0a", "ca_cert_pem"), serial("0a"), serial("0a"), "subject", true},
		"of another CA":             {serial("0a", "ca_cert_pem"), serial("0a"), serial("0a"), "ca_cert_pem", false},
		"of a CA to come":           {later, serial("0a"), serial("0a"), "ca_cert_pem", true},
	} {
		diags := selfSignedCertKind.givenTwice(c.is, c.was, c.config, []path.Path{path.Root(c.changed)})
		if (len(diags) > 0) != c.want {
			t.Errorf("%s: %v", name, diags)
		}
	}
}
