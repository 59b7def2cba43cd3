package provider

import (
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/booldefault"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/int64default"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/x509cert"
)

// longestPeriod is in hours, 285 years: a time.Duration has no more than 292.
const longestPeriod = 2_500_000

var (
	serialNumber = parsed{
		is: "a serial number in hexadecimal", title: "Invalid Serial Number", named: true,
		parse: func(s string) error {
			if _, err := x509cert.ParseSerial(s); err != nil {
				return fmt.Errorf("is %q, which is not a serial number", s)
			}
			return nil
		},
		hint: " It must be the hexadecimal digits of a number above zero, of at most 20 bytes, such as \"0a1b2c\".",
	}
	timestamp = parsed{
		is: "a time such as 2030-01-31T12:00:00Z (RFC 3339)", title: "Invalid Time", named: true,
		parse: func(s string) error {
			if _, err := time.Parse(time.RFC3339, s); err != nil {
				return fmt.Errorf("is %q, which is not a time", s)
			}
			return nil
		},
		hint: " It must be a time as RFC 3339 writes it, such as \"2030-01-31T12:00:00Z\".",
	}
)

// inTheState is what all of them have in common.
const inTheState = " It is in the state alone, and not on the token: a refresh and a plan do not touch that, and a " +
	"destruction ends nothing but the state. What is lost with a state is signed anew, so there is no import."

// listedTexts is a list of texts that may be left out.
func listedTexts(description string, valid ...validator.String) schema.ListAttribute {
	return schema.ListAttribute{MarkdownDescription: description, ElementType: types.StringType, Optional: true,
		Validators: listOf(append(valid, someText())...)}
}

func optionalText(description string, valid ...validator.String) schema.StringAttribute {
	return schema.StringAttribute{MarkdownDescription: description, Optional: true, Validators: valid}
}

func requiredText(description string) schema.StringAttribute {
	return schema.StringAttribute{MarkdownDescription: description, Required: true}
}

// madeText is a text that stays as it is until something is signed anew.
func madeText(description string) schema.StringAttribute {
	return schema.StringAttribute{MarkdownDescription: description, Computed: true}
}

// defaultsToFalse is a choice that is not made by default.
func defaultsToFalse(description string) schema.BoolAttribute {
	return schema.BoolAttribute{MarkdownDescription: description + " Defaults to false.", Optional: true,
		Computed: true, Default: booldefault.StaticBool(false)}
}

const usesAre = " They are the words of the tls provider for key usages and extended key usages " +
	"([RFC 5280](https://www.rfc-editor.org/rfc/rfc5280#section-4.2.1.3), 4.2.1.3 and 4.2.1.12): "

// listed is words for a description.
func listed(all []string) string { return "`" + strings.Join(all, "`, `") + "`" }

func publicKeyPEM(of string) schema.StringAttribute {
	return requiredText("Public key as PEM, such as the attribute `public_key_pem` of a key pair's resource. The " +
		"pair on the token that has this public key signs, under whatever ID and label. " + of)
}

// subjectBlock is as the tls provider has it, but for domain_components.
func subjectBlock(description string) schema.SingleNestedBlock {
	of := func(part string) schema.StringAttribute { return optionalText(part + " of the subject.") }
	return schema.SingleNestedBlock{
		MarkdownDescription: description,
		Attributes: map[string]schema.Attribute{
			"common_name":         of("Common name (`CN`)"),
			"organization":        of("Organization (`O`)"),
			"organizational_unit": of("Organizational unit (`OU`)"),
			"street_address":      listedTexts("Lines of the street address (`STREET`) of the subject."),
			"locality":            of("Locality (`L`)"),
			"province":            of("State or province (`ST`)"),
			"country":             of("Country (`C`)"),
			"postal_code":         of("Postal code (`2.5.4.17`)"),
			"email_address":       of("Email address (`1.2.840.113549.1.9.1`)"),
			"serial_number":       of("Serial number (`SERIALNUMBER`), which is not that of a certificate,"),
			"domain_components": listedTexts("Domain components (`DC`) of the subject, the top-level domain first: " +
				"`[\"com\", \"example\"]`."),
		},
	}
}

// namesAttributes are the names besides the subject.
func namesAttributes(note string) map[string]schema.Attribute {
	return map[string]schema.Attribute{
		"dns_names":       listedTexts("DNS names of the subject." + note),
		"ip_addresses":    listedTexts("IP addresses of the subject." + note),
		"uris":            listedTexts("URIs of the subject." + note),
		"email_addresses": listedTexts("Email addresses of the subject." + note),
	}
}

func signatureAlgorithm(of string) schema.StringAttribute {
	return schema.StringAttribute{
		MarkdownDescription: "How it is signed: one of " + listed(x509cert.SignatureAlgorithms()) + ". Defaults to " +
			"what " + of + " is for: `SHA256-RSA`, ECDSA with the hash of the curve's size, or `Ed25519`.",
		Optional: true, Computed: true, Validators: []validator.String{oneOf(x509cert.SignatureAlgorithms()...)},
	}
}

// datesAttributes are those of what comes to be due.
func datesAttributes(noun, product string) map[string]schema.Attribute {
	return map[string]schema.Attribute{
		"validity_period_hours": schema.Int64Attribute{
			MarkdownDescription: "How many hours after its beginning the " + noun + " ends.",
			Required:            true, Validators: []validator.Int64{between(1, longestPeriod)},
		},
		earlyRenewal: schema.Int64Attribute{
			MarkdownDescription: "How many hours before its end the " + noun + " is due, so that a plan makes " +
				"another one. A refresh alone renews nothing. It changes in place. Defaults to 0.",
			Optional: true, Computed: true, Default: int64default.StaticInt64(0),
			Validators: []validator.Int64{between(0, longestPeriod)},
		},
		readyForRenewal: schema.BoolAttribute{MarkdownDescription: "Whether the " + noun + " is due, by the clock " +
			"of the machine that Terraform runs on.", Computed: true},
		validityStart: madeText("When " + product + " begins ([RFC 3339](https://www.rfc-editor.org/rfc/rfc3339), " +
			"UTC)."),
		validityEnd: madeText("When " + product + " ends ([RFC 3339](https://www.rfc-editor.org/rfc/rfc3339), UTC)."),
	}
}

// certAttributes are those that both resources of certificates have.
func certAttributes(namesNote, signer string) map[string]schema.Attribute {
	all := map[string]schema.Attribute{
		"allowed_uses": schema.ListAttribute{
			MarkdownDescription: "What the certificate's key may be used for." + usesAre +
				listed(x509cert.Uses()) + ".",
			ElementType: types.StringType, Required: true, Validators: listOf(oneOf(x509cert.Uses()...)),
		},
		"is_ca_certificate": defaultsToFalse("Whether it is the certificate of a CA. Then `allowed_uses` must have " +
			"`cert_signing`."),
		"max_path_length": schema.Int64Attribute{
			MarkdownDescription: "How many CAs may stand between this one and the certificate at the end of a " +
				"chain. -1, and the default, is no bound. It is ignored if `is_ca_certificate` is false.",
			Optional: true, Validators: []validator.Int64{between(-1, 1000)},
		},
		"name_constraints": schema.SingleNestedAttribute{
			MarkdownDescription: "Which names this CA may certify ([RFC " +
				"5280](https://www.rfc-editor.org/rfc/rfc5280#section-4.2.1.10), 4.2.1.10), in a critical extension.",
			Optional: true,
			Attributes: map[string]schema.Attribute{
				"permitted_dns_domains": listedTexts("DNS domains whose names it may certify, with all of their " +
					"subdomains."),
				"excluded_dns_domains": listedTexts("DNS domains whose names it must not certify."),
				"permitted_ip_ranges":  listedTexts("IP addresses that it may certify, such as `10.0.0.0/8`."),
				"excluded_ip_ranges": listedTexts("IP addresses that it must not certify; `0.0.0.0/0` and " +
					"`::/0` are all."),
				"permitted_email_addresses": listedTexts("Email addresses, hosts, or domains with a dot in front " +
					"that it may certify."),
				"excluded_email_addresses": listedTexts("Email addresses, hosts, or domains with a dot in front " +
					"that it must not certify."),
				"permitted_uri_domains": listedTexts("Hosts, or domains with a dot in front, of URIs that it " +
					"may certify."),
				"excluded_uri_domains": listedTexts("Hosts, or domains with a dot in front, of URIs that it " +
					"must not certify."),
			},
		},
		"policies": listedTexts("Object identifiers of the certificate policies that it is issued under, such as " +
			"`2.23.140.1.2.1`."),
		"not_before": optionalText("When the certificate begins ([RFC "+
			"3339](https://www.rfc-editor.org/rfc/rfc3339)). Defaults to a minute before it is signed, for clocks "+
			"that are slow. One that is signed by a CA never begins before it: in the CA's first hour it begins with "+
			"the CA if it would outlive it otherwise, so that both can be made in one run for equally long.",
			timestamp),
		"serial_number": schema.StringAttribute{
			MarkdownDescription: "Serial number in hexadecimal, at most 20 bytes. Defaults to 20 random bytes, in " +
				"lower case. Whoever gives one must see to it that a CA never gives it twice.",
			Optional: true, Computed: true, Validators: []validator.String{serialNumber},
		},
		"set_subject_key_id": defaultsToFalse("Whether the certificate has a subject key identifier. That of a CA " +
			"always has one."),
		"signature_algorithm": signatureAlgorithm(signer),
		"cert_pem":            madeText("The certificate as PEM, with a line end after it."),
	}
	maps.Copy(all, namesAttributes(namesNote))
	maps.Copy(all, datesAttributes("certificate", "it"))
	return all
}

// with is a map with some more in it.
func with[V any](all, more map[string]V) map[string]V {
	maps.Copy(all, more)
	return all
}
