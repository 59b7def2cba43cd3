package provider

import (
	"context"
	"fmt"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/booldefault"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/int64default"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringdefault"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/publickey"
)

// maxGeneration leaves room in an ID, of 255 bytes at most, for the number behind the prefix.
const maxGeneration = 1_000_000_000

func (r *keyRingResource) Schema(ctx context.Context, _ resource.SchemaRequest, resp *resource.SchemaResponse) {
	label := func(description string) schema.StringAttribute {
		return schema.StringAttribute{MarkdownDescription: description, Optional: true, Computed: true,
			Validators: []validator.String{atMostBytes(255)}}
	}
	resp.Schema = schema.Schema{
		MarkdownDescription: "Key pairs that take turns at signing: the next, the current and the previous ones of " +
			"one purpose, such as Hydra's access tokens. Raise `generation` by one, and the next pair signs. It is " +
			"published before, and the one that signed until then stays published after, so that no verifier " +
			"notices.\n\nA ring makes its pairs itself. What is on the token already comes into a ring by an import.",
		Attributes: map[string]schema.Attribute{
			"label": schema.StringAttribute{
				MarkdownDescription: "Label (`CKA_LABEL`) of the pair that signs. In Hydra it is the name of a key " +
					"set. It can change in place.",
				Required: true, Validators: []validator.String{atMostBytes(240)},
			},
			"standby_label": label("Label of the next and the previous pairs. Defaults to `LABEL.standby`. There is " +
				"always a pair under it: Hydra fills an empty set that it publishes with a key of its own."),
			"retired_label": label("Label of the pairs that are published no more. Defaults to `LABEL.retired`."),
			"generation": schema.Int64Attribute{
				MarkdownDescription: "Which generation signs, from 1. One more rotates; one less goes back, as long " +
					"as that pair is still published. Any other step is an error. The function `generation` gives it " +
					"by the calendar.",
				Required: true, Validators: []validator.Int64{between(1, maxGeneration)},
			},
			"key_id_prefix": schema.StringAttribute{
				MarkdownDescription: "What the IDs (`CKA_ID`) of the pairs begin with. That of generation 3 is the " +
					"text of the prefix and `3`, so that no generation is made twice. Defaults to `LABEL-`, with the " +
					"label that the ring was made with. It must not end in a digit, and cannot change.",
				Optional: true, Computed: true, Validators: []validator.String{atMostBytes(240), generationPrefix},
			},
			"modulus_bits": schema.Int64Attribute{
				MarkdownDescription: "Length of the modulus of new RSA pairs, 2048 to 16384 bits, in steps of 8. " +
					"Defaults to 4096, unless `curve` is given. A change counts for pairs that are made from then on.",
				Optional: true, Computed: true, Validators: []validator.Int64{between(2048, 16384), multipleOf(8)},
			},
			"curve": schema.StringAttribute{
				MarkdownDescription: fmt.Sprintf("Curve of new pairs, by its JOSE name: `%s`. A change counts for "+
					"pairs that are made from then on, so that RSA becomes EC by rotating.",
					strings.Join(publickey.Curves(), "`, `")),
				Optional: true, Validators: []validator.String{oneOf(publickey.Curves()...),
					without("A new pair is an RSA pair or one on a curve. Leave one of the two out.", "modulus_bits")},
			},
			"previous": schema.Int64Attribute{
				MarkdownDescription: "How many past generations stay published. Defaults to 1. With 0, in an " +
					"emergency, the pair that has signed is published no more as soon as the next one signs. A pair " +
					"that is retired is never published again.",
				Optional: true, Computed: true, Default: int64default.StaticInt64(1),
				Validators: []validator.Int64{between(0, 100)},
			},
			"min_publish_time": schema.StringAttribute{
				MarkdownDescription: "How long the next pair has to have been published before it may sign, such as " +
					"`24h` or `2d`: verifiers keep sets of keys for a while. Defaults to `24h`. A rotation before " +
					"that is an error of the plan. To rotate all the same, set it to `0s` for that one apply. After " +
					"an import, the time counts from the import.",
				Optional: true, Computed: true, Default: stringdefault.StaticString("24h"),
				Validators: []validator.String{publishTime},
			},
			"retired": schema.StringAttribute{
				MarkdownDescription: "What happens to a pair that is published no more: `keep` gives it the " +
					"`retired_label`, and `destroy` destroys it for ever. Defaults to `keep`. A change counts for " +
					"pairs that are retired from then on.",
				Optional: true, Computed: true, Default: stringdefault.StaticString(ringKeep),
				Validators: []validator.String{oneOf(ringKeep, ringDestroy)},
			},
			"extractable": schema.BoolAttribute{
				MarkdownDescription: "Whether the private keys of new pairs may ever leave the token, wrapped by " +
					"another key (`CKA_EXTRACTABLE`). Defaults to false. A change counts for pairs that are made " +
					"from then on.",
				Optional: true, Computed: true, Default: booldefault.StaticBool(false),
			},
			"deletion_policy": schema.StringAttribute{
				MarkdownDescription: "What happens to the pairs on the token when the resource is destroyed. " +
					"Defaults to `prevent`.\n  - `prevent`: a plan that would destroy them fails. A pair that is " +
					"lost is not made again.\n  - `abandon`: the resource leaves the state, and the pairs stay on " +
					"the token.\n  - `delete`: the pairs that `keys` shows are destroyed for ever. Retired ones that " +
					"were kept stay.\n\n  The policy in the state counts: a change of the policy takes effect once " +
					"it is applied.",
				Optional: true, Computed: true, Default: stringdefault.StaticString(policyPrevent),
				Validators: []validator.String{oneOf(policyPrevent, policyAbandon, policyDelete)},
			},
			"timeouts": timeoutsOf(ctx, ringTimes),
			"keys": schema.MapNestedAttribute{
				MarkdownDescription: "The pairs that are published, by the number of their generation as a text.",
				Computed:            true, NestedObject: schema.NestedAttributeObject{Attributes: ringKeyAttributes()},
			},
			"current": schema.SingleNestedAttribute{
				MarkdownDescription: "The pair that signs: one of `keys`.", Computed: true,
				Attributes: ringKeyAttributes(),
			},
			"uris": schema.ListAttribute{
				MarkdownDescription: "The URIs of all pairs that are published, in the order of their generations: " +
					"for the `uris` of `hsm_jwks`.",
				ElementType: types.StringType, Computed: true,
			},
			"rotation_possible_at": schema.StringAttribute{
				MarkdownDescription: "When the next pair will have been published for `min_publish_time`, in RFC 3339.",
				Computed:            true,
			},
			"token_serial": schema.StringAttribute{
				MarkdownDescription: "Serial number of the token that holds the ring, as it was last read. An apply " +
					"in which it is another one turns nothing. Null if the token has none.",
				Computed: true,
			},
		},
	}
}

var ringTimes = times{
	create: createTime, read: readTime, update: createTime, delete: changeTime,
	creating: "making the first pairs", reading: "reading the pairs", updating: "turning the ring, which makes a pair,",
	deleting: "destroying the pairs",
}

// ringKeyAttributes are those of one pair.
func ringKeyAttributes() map[string]schema.Attribute {
	text := func(description string) schema.StringAttribute {
		return schema.StringAttribute{MarkdownDescription: description, Computed: true}
	}
	return map[string]schema.Attribute{
		"generation": schema.Int64Attribute{MarkdownDescription: "Number of the generation.", Computed: true},
		"role":       text("What the pair does: `next`, `current` or `previous`."),
		"label":      text("Label of the pair."),
		"key_id":     text("ID of the pair in hexadecimal."),
		"kid":        text("The ID as a JWK's `kid`."),
		"uri": text("PKCS#11 URI ([RFC 7512](https://www.rfc-editor.org/rfc/rfc7512)) of the pair. It is unknown " +
			"until the pair exists, so that what refers to it waits for that."),
		"public_key_pem": text("The public key in PEM (`PUBLIC KEY`, a SubjectPublicKeyInfo)."),
		"jwk": text("The public key as a JSON Web Key ([RFC 7517](https://www.rfc-editor.org/rfc/rfc7517)), with " +
			"`kid`, `use` and `alg`."),
		"public_key_fingerprint_sha256": text("SHA-256 of the public key's SubjectPublicKeyInfo, in hexadecimal. By " +
			"it the provider notices when another key has taken the place of this one under the same ID."),
		"published_since": text("Since when the pair has been published, as far as this state knows, in RFC 3339."),
	}
}

func ringKeyType() types.ObjectType {
	of := map[string]attr.Type{}
	for name, attribute := range ringKeyAttributes() {
		of[name] = attribute.GetType()
	}
	return types.ObjectType{AttrTypes: of}
}
