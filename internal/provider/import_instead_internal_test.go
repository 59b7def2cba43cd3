package provider

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/hsmtest"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/object"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/provider/diagnose"
)

// TestAnImportAsTheWrongTypeNamesWhatIsThere imports everything as every type.
func TestAnImportAsTheWrongTypeNamesWhatIsThere(t *testing.T) {
	hsmtest.Needs(t, hsmtest.OtherEyes)
	on := hsmtest.New(t)
	ctx := context.Background()
	made := map[string]object.Template{
		"rsa": {Type: object.RSA, ModulusBits: 2048, PublicExponent: 65537, Usage: object.Sign},
		"ec":  {Type: object.EC, Curve: "P-256", Usage: object.Sign},
		"aes": {Type: object.Secret, Kind: object.AES, Bits: 256, Usage: object.Encrypt | object.Decrypt},
	}
	maker, err := hsm.Open(ctx, on.Config())
	if err != nil {
		t.Fatal(err)
	}
	for label, tmpl := range hsmtest.InOrder(made) {
		tmpl.ID, tmpl.Label = []byte(label), label
		if _, err := maker.Generate(ctx, tmpl); err != nil {
			t.Fatal(err)
		}
	}
	_ = maker.Close()
	id := func(label string) string { return hex.EncodeToString([]byte(label)) }
	for label, keyType := range map[string]string{"private": "EC:prime256v1", "public": "rsa:2048", "odd": "EC:secp224r1"} {
		on.Tool(t, "--keypairgen", "--key-type", keyType, "--usage-sign", "--label", label, "--id", id(label))
	}
	on.Tool(t, "--keygen", "--key-type", "AES:32", "--usage-decrypt", "--label", "open", "--id", id("open"))
	on.Tool(t, "--delete-object", "--type", "pubkey", "--id", id("private"))
	on.Tool(t, "--delete-object", "--type", "privkey", "--id", id("public"))
	token, err := hsm.Open(ctx, on.Config())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = token.Close() }()

	const another, unknown, half = "Key Of Another Type", "Kind Of Key Not Supported", "Half A Key Pair"
	there := map[string]struct {
		what, resource string
		title          string
		own            string // the title where the resource is of its type; "" where the import goes through
	}{
		"rsa":     {`RSA key pair "rsa" (key_id 727361), SHA-256 fingerprint `, "hsm_rsa_keypair", another, ""},
		"ec":      {`EC key pair "ec" (key_id 6563), SHA-256 fingerprint `, "hsm_ec_keypair", another, ""},
		"aes":     {`secret key (aes) "aes" (key_id 616573), check value `, "hsm_secret_key", another, ""},
		"private": {`EC private key "private" (ID 70726976617465)`, "", another, half},
		"public":  {`RSA public key "public" (ID 7075626c6963)`, "", another, half},
		"odd":     {`"odd"`, "", unknown, unknown},
		"open":    {`, not protected by the PIN`, "", another, ""},
	}
	typeOf := map[string]string{"rsa": "hsm_rsa_keypair", "public": "hsm_rsa_keypair", "ec": "hsm_ec_keypair",
		"private": "hsm_ec_keypair", "aes": "hsm_secret_key", "open": "hsm_secret_key"}
	for _, r := range keyResources() {
		for label, is := range hsmtest.InOrder(there) {
			for _, form := range []string{
				id(label), label + "/" + id(label), "elsewhere/" + id(label), "pkcs11:object=" + label,
				"pkcs11:id=%" + strings.ToUpper(id(label)[:2]) + label[1:], "pkcs11:object=wrong;id=" + label,
			} {
				t.Run(fmt.Sprintf("%s by %s", r.kind.typeName(), form), func(t *testing.T) {
					asked, err := parseImportID(form)
					if err != nil {
						t.Fatal(err)
					}
					_, err = r.adoptable(ctx, token, asked)
					title := is.title
					if typeOf[label] == r.kind.typeName() {
						if strings.HasPrefix(form, "elsewhere/") || strings.Contains(form, "object=wrong") {
							return // another label than the key has is another matter
						}
						title = is.own
					}
					if title == "" {
						if err != nil {
							t.Errorf("its own type: %v", err)
						}
						return
					}
					if err == nil {
						t.Fatal("it was imported")
					}
					m := r.kind.newModel()
					said := r.failure(diagnose.Import, m, token, err)
					if said.Summary() != "Unable to Import "+r.kind.title+": "+title {
						t.Errorf("its title is %q:\n%s", said.Summary(), said.Detail())
					}
					if title != half && !strings.Contains(said.Detail(), is.what) {
						t.Errorf("it does not say %q:\n%s", is.what, said.Detail())
					}
					if strings.Contains(is.what, "not protected") && !strings.Contains(said.Detail(), "Do not adopt") {
						t.Errorf("it is not advised against:\n%s", said.Detail())
					}
					command := "terraform import " + is.resource + ".NAME " + id(label)
					if title == another && strings.Contains(said.Detail(), command) != (is.resource != "") {
						t.Errorf("it is imported by %q:\n%s", command, said.Detail())
					}
				})
			}
		}
		for _, label := range []string{"rsa", "ec", "aes", "open"} { // no answer has another fingerprint or token
			for _, form := range []string{id(label) + "@00ff", "pkcs11:token=elsewhere;id=" + label} {
				asked, err := parseImportID(form)
				if err != nil {
					t.Fatal(err)
				}
				_, err = r.adoptable(ctx, token, asked)
				_, compared := errors.AsType[*diagnose.FingerprintError](err)
				if !misses(err) && (!compared || typeOf[label] != r.kind.typeName()) {
					t.Errorf("%s by %s: %v", r.kind.typeName(), form, err)
				}
			}
		}
	}
}

// TestAnImportOfWhatHasNoIDOrNoSupport names it by its own type, with commands for that. A secret key of a kind without
// support, which anyone may have made, hides nothing else of its ID.
func TestAnImportOfWhatHasNoIDOrNoSupport(t *testing.T) {
	hsmtest.Needs(t, hsmtest.OtherEyes)
	on := hsmtest.New(t)
	ctx := context.Background()
	on.Tool(t, "--keypairgen", "--key-type", "rsa:2048", "--usage-sign", "--label", "rsa")
	on.Tool(t, "--keypairgen", "--key-type", "EC:secp224r1", "--usage-sign", "--label", "odd")
	on.Tool(t, "--keygen", "--key-type", "AES:32", "--sensitive", "--private", "--label", "aes")
	on.Tool(t, "--keypairgen", "--key-type", "EC:prime256v1", "--usage-sign", "--label", "ec", "--id", "6563")
	on.Tool(t, "--keypairgen", "--key-type", "rsa:2048", "--usage-sign", "--label", "half", "--id", "6861")
	on.Tool(t, "--delete-object", "--type", "pubkey", "--id", "6861")
	err := on.Session(func(ctx context.Context, s *cryptoki.Session) error {
		const des3 = 0x131 // CKM_DES3_KEY_GEN
		for id, label := range map[string]string{"de": "des", "ec": "beside", "ha": "beside"} {
			_, err := s.GenerateKey(ctx, cryptoki.Mechanism{Type: des3}, []cryptoki.Attribute{
				cryptoki.Bool(cryptoki.CKA_TOKEN, true), cryptoki.Bool(cryptoki.CKA_PRIVATE, label == "des"),
				cryptoki.Bytes(cryptoki.CKA_ID, []byte(id)), cryptoki.Bytes(cryptoki.CKA_LABEL, []byte(label)),
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	token, err := hsm.Open(ctx, on.Config())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = token.Close() }()
	for label, says := range hsmtest.InOrder(map[string][]string{
		"rsa": {"Key Without An ID", `key pair "rsa" has no ID`, "--type privkey --label rsa", "as hsm_rsa_keypair."},
		"aes": {"Key Without An ID", `The secret key "aes" has no ID`, "--type secrkey --label aes",
			"as hsm_secret_key."},
		"odd": {"Kind Of Key Not Supported", `The key pair "odd" (without an ID) is of a kind`},
		"des": {"Kind Of Key Not Supported", `The secret key "des" (key_id 6465) is of a kind`, "type 0x15"},
	}) {
		for _, r := range keyResources() {
			asked, err := parseImportID("pkcs11:object=" + label)
			if err != nil {
				t.Fatal(err)
			}
			_, err = r.adoptable(ctx, token, asked)
			if err == nil {
				t.Fatalf("%s was imported as %s", label, r.kind.typeName())
			}
			said := r.failure(diagnose.Import, r.kind.newModel(), token, err)
			for _, text := range says {
				if !strings.Contains(said.Summary()+"\n"+said.Detail(), text) {
					t.Errorf("%s as %s does not say %q:\n%s\n%s", label, r.kind.typeName(), text, said.Summary(),
						said.Detail())
				}
			}
		}
	}
	rsa := newRSAKeyPairResource()
	for id, title := range map[string]string{"6563": "Key Of Another Type", "6861": "Half A Key Pair"} {
		asked, err := parseImportID(id)
		if err != nil {
			t.Fatal(err)
		}
		_, err = rsa.adoptable(ctx, token, asked)
		said := rsa.failure(diagnose.Import, rsa.kind.newModel(), token, err)
		if said.Summary() != "Unable to Import Key Pair: "+title {
			t.Errorf("%s:\n%s\n%s", id, said.Summary(), said.Detail())
		}
	}
}

// TestMessagesKnowTheResources: package diagnose cannot ask them.
func TestMessagesKnowTheResources(t *testing.T) {
	resources := keyResources()
	for _, r := range resources {
		if got := diagnose.ResourceOf[r.kind.keyType]; got != r.kind.typeName() {
			t.Errorf("the resource of %s keys is %s, and messages say %s", r.kind.keyType, r.kind.typeName(), got)
		}
	}
	if len(diagnose.ResourceOf) != len(resources) {
		t.Errorf("messages know %d resources, and there are %d", len(diagnose.ResourceOf), len(resources))
	}
}
