package provider_test

import (
	"bytes"
	"crypto"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/hsmtest"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/publickey"
)

// message is what tests sign.
const message = "what the token signs"

// signedText is a signature, and how openssl verifies it.
type signedText struct {
	key       string // the address of the pair
	algorithm string // as the configuration says it; "" for none
	digest    bool   // the digest is given, and not the message
	raw       bool
	verify    []string // the arguments of openssl, but for the files
	says      string   // the algorithm that the resource says
}

func dgst(hash string, more ...string) []string {
	return append([]string{"dgst", "-" + hash}, more...)
}

func pss(hash string) []string {
	return dgst(hash, "-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:digest")
}

// verifiedBy is nil where openssl says that a signature is one of the message, and that another one is not.
func (b *bench) verifiedBy(pem string, s signedText, signature []byte) error {
	b.t.Helper()
	dir := b.t.TempDir()
	file := func(name, text string) string {
		write(b.t, filepath.Join(dir, name), text)
		return filepath.Join(dir, name)
	}
	if s.raw {
		signature = derOf(signature)
	}
	key, signed := file("key.pem", pem), file("signature", string(signature))
	for text, want := range map[string]bool{message: true, "another one": false} {
		args := slices.Concat([]string{"openssl"}, s.verify,
			[]string{"-verify", key, "-signature", signed, file("text", text)})
		if s.verify[0] == "pkeyutl" {
			args = []string{"openssl", "pkeyutl", "-verify", "-pubin", "-inkey", key, "-rawin", "-in",
				file("text", text), "-sigfile", signed}
		}
		if err := run(args...); (err == nil) != want {
			return fmt.Errorf("%s of %s: openssl says of %q: %w", s.says, s.key, text, err)
		}
	}
	return nil
}

// derOf writes r and s as X.509 does.
func derOf(raw []byte) []byte {
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(pair *cryptobyte.Builder) {
		pair.AddASN1BigInt(new(big.Int).SetBytes(raw[:len(raw)/2]))
		pair.AddASN1BigInt(new(big.Int).SetBytes(raw[len(raw)/2:]))
	})
	return b.BytesOrPanic()
}

// TestSignaturesOfEveryAlgorithmVerifyByOpenSSL signs the message or its digest with keys that the same apply makes.
func TestSignaturesOfEveryAlgorithmVerifyByOpenSSL(t *testing.T) {
	t.Parallel()
	hsmtest.NeedsCurves(t)
	b := newBench(t)
	const rsa = "hsm_rsa_keypair.k"
	curve := func(i int) string { return fmt.Sprintf("hsm_ec_keypair.k[%d]", i) }
	all := []signedText{
		{key: rsa, verify: dgst("sha256"), says: "SHA256-RSA"},
		{key: curve(0), verify: dgst("sha256"), says: "ECDSA-SHA256"},
		{key: curve(1), verify: dgst("sha384"), says: "ECDSA-SHA384"},
		{key: curve(2), verify: dgst("sha512"), says: "ECDSA-SHA512"},
		{key: curve(3), verify: dgst("sha256"), says: "ECDSA-SHA256"},
		{key: curve(4), verify: []string{"pkeyutl"}, says: "Ed25519"},
		{key: curve(4), algorithm: "Ed25519", verify: []string{"pkeyutl"}, says: "Ed25519"},
	}
	for _, bits := range []string{"256", "384", "512"} {
		for _, digest := range []bool{false, true} {
			all = append(all,
				signedText{key: rsa, algorithm: "SHA" + bits + "-RSA", digest: digest, verify: dgst("sha" + bits),
					says: "SHA" + bits + "-RSA"},
				signedText{key: rsa, algorithm: "SHA" + bits + "-RSAPSS", digest: digest, verify: pss("sha" + bits),
					says: "SHA" + bits + "-RSAPSS"})
			for i := range 4 {
				for _, raw := range []bool{false, true} {
					all = append(all, signedText{key: curve(i), algorithm: "ECDSA-SHA" + bits, digest: digest, raw: raw,
						verify: dgst("sha" + bits), says: "ECDSA-SHA" + bits})
				}
			}
		}
	}
	blocks := []string{pair("k", `label = "rsa"`, `key_id = "06"`), onEveryCurve(`label = "web"`)}
	var rows []string
	for i, s := range all {
		lines := []string{"public_key_pem = " + s.key + ".public_key_pem"}
		if s.algorithm != "" {
			lines = append(lines, line("algorithm", s.algorithm))
		}
		if s.digest {
			h := map[string]crypto.Hash{"256": crypto.SHA256, "384": crypto.SHA384,
				"512": crypto.SHA512}[hashIn(s.says)].New()
			h.Write([]byte(message))
			lines = append(lines, line("digest_base64", base64.StdEncoding.EncodeToString(h.Sum(nil))))
		} else {
			lines = append(lines, line("message_base64", base64.StdEncoding.EncodeToString([]byte(message))))
		}
		if s.raw {
			lines = append(lines, `encoding = "raw"`)
		}
		blocks = append(blocks, ephemeralBlock("hsm_signature", fmt.Sprintf("s%d", i), lines...))
		rows = append(rows, fmt.Sprintf("{ algorithm = ephemeral.hsm_signature.s%d.algorithm, signature = "+
			"ephemeral.hsm_signature.s%[1]d.signature_base64, pem = %s.public_key_pem }", i, s.key))
	}
	b.testEphemeral(b.applied(func(data any) error {
		found := data.([]any)
		if len(found) != len(all) {
			return fmt.Errorf("%d signatures, not %d", len(found), len(all))
		}
		for i, s := range all {
			row := found[i].(map[string]any)
			if row["algorithm"] != s.says {
				return fmt.Errorf("%+v is signed by %s", s, row["algorithm"])
			}
			signature, err := base64.StdEncoding.DecodeString(row["signature"].(string))
			if err != nil {
				return err
			}
			if err := b.verifiedBy(row["pem"].(string), s, signature); err != nil {
				return err
			}
		}
		return nil
	}, append(blocks, echoed("["+strings.Join(rows, ", ")+"]"))...))
}

// hashIn is the number in the name of an algorithm's hash.
func hashIn(algorithm string) string {
	_, rest, _ := strings.Cut(algorithm, "SHA")
	return rest[:3]
}

// TestSignaturesOfMLDSAVerify plays ML-DSA over SoftHSM; openssl knows it from 3.5 on.
func TestSignaturesOfMLDSAVerify(t *testing.T) {
	t.Parallel()
	playsMLDSA(t)
	b := newBench(t)
	b.hooks = append(b.hooks, hsmtest.PlayMLDSA)
	b.testEphemeral(b.applied(func(data any) error {
		row := data.(map[string]any)
		pub, err := publickey.ParsePEM(row["pem"].(string))
		if err != nil {
			return err
		}
		signature, err := base64.StdEncoding.DecodeString(row["signature"].(string))
		if err != nil || !publickey.Verify(pub, []byte(message), signature) ||
			publickey.Verify(pub, []byte("another one"), signature) {
			return errors.New("the signature does not verify, or verifies for another text")
		}
		return nil
	}, mlDSAPair("ML-DSA-65", "web"), ephemeralBlock("hsm_signature", "s", "public_key_pem = "+mlDSA+".public_key_pem",
		line("message_base64", base64.StdEncoding.EncodeToString([]byte(message)))),
		echoed("{ signature = ephemeral.hsm_signature.s.signature_base64, pem = "+mlDSA+".public_key_pem }")))
}

// TestASignatureThatMakesNoSenseIsRefusedInThePlan points at the argument at fault. No token is asked.
func TestASignatureThatMakesNoSenseIsRefusedInThePlan(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	ec := pemLine(somebodysPEM(t))
	ed := pemLine("-----BEGIN PUBLIC KEY-----\n" +
		"MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n-----END PUBLIC KEY-----\n")
	text, sha256 := `message_base64 = base64encode("text")`, `digest_base64 = base64sha256("text")`
	var turns []turn
	for _, row := range []struct {
		says  remark
		lines []string
	}{
		{fails("Invalid Combination Of Arguments",
			"Exactly one of message_base64 and digest_base64").pointing("message_base64"), []string{ec}},
		{fails("Invalid Combination Of Arguments", "Exactly one of").pointing("message_base64"),
			[]string{ec, text, sha256}},
		{fails("Invalid Base64", "no base64").pointing("message_base64"), []string{ec, `message_base64 = "text!"`}},
		{fails("Invalid Base64", "lacks the =").pointing("message_base64"), []string{ec, `message_base64 = "AA"`}},
		{fails("Invalid Base64", "base64url").pointing("digest_base64"), []string{ec, `digest_base64 = "-_-_"`}},
		{fails("Invalid Base64", "line breaks").pointing("message_base64"),
			[]string{ec, `message_base64 = "AAAA\nAAAA"`}},
		{fails("Unknown Word", "SHA1-RSA").pointing("algorithm"), []string{ec, text, `algorithm = "SHA1-RSA"`}},
		{fails("Algorithm Does Not Fit", "SHA256-RSA",
			"ECDSA-SHA256, ECDSA-SHA384, ECDSA-SHA512").pointing("algorithm"),
			[]string{ec, text, `algorithm = "SHA256-RSA"`}},
		{fails("Digest Does Not Fit",
			"ECDSA-SHA384 signs digests of SHA-384, which have 48 bytes. This one has 32").pointing("digest_base64"),
			[]string{ec, sha256, `algorithm = "ECDSA-SHA384"`}},
		{fails("Digest Does Not Fit", "Ed25519 signs whole messages").pointing("digest_base64"), []string{ed, sha256}},
		{fails("Encoding Does Not Fit", "ECDSA").pointing("encoding"), []string{ed, text, `encoding = "raw"`}},
		{fails("Unknown Word", "der").pointing("encoding"), []string{ec, text, `encoding = "der"`}},
	} {
		turns = append(turns, b.refused(row.says, ephemeralBlock("hsm_signature", "s", row.lines...)))
	}
	for _, n := range []string{"0", "4097"} {
		turns = append(turns, b.refused(fails("Invalid Number", "from 1 to 4096").pointing("bytes"),
			ephemeralBlock("hsm_random", "r", "bytes = "+n)))
	}
	turns = append(turns, turn{TestStep: resource.TestStep{Config: b.config()}}) // to end with
	b.testEphemeral(turns...)
	if n := b.faults.Count(""); n > 0 {
		t.Errorf("%d calls into the module were made", n)
	}
}

// TestRandomBytesAreTheTokens asks for them twice in one run.
func TestRandomBytesAreTheTokens(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.testEphemeral(b.applied(func(data any) error {
		var all [][]byte
		for i, row := range data.([]any) {
			row := row.(map[string]any)
			octets, err := hex.DecodeString(row["hex"].(string))
			if err != nil || base64.StdEncoding.EncodeToString(octets) != row["base64"] ||
				len(octets) != []int{32, 32, 1, 4096}[i] {
				return fmt.Errorf("%d bytes, or hex and base64 differ: %w", len(octets), err)
			}
			all = append(all, octets)
		}
		if len(all) != 4 || bytes.Equal(all[0], all[1]) || bytes.Equal(all[0], all[3][:32]) {
			return errors.New("the same bytes came twice")
		}
		return nil
	},
		ephemeralBlock("hsm_random", "a", "bytes = 32"), ephemeralBlock("hsm_random", "b", "bytes = 32"),
		ephemeralBlock("hsm_random", "one", "bytes = 1"), ephemeralBlock("hsm_random", "most", "bytes = 4096"),
		echoed("[ephemeral.hsm_random.a, ephemeral.hsm_random.b, ephemeral.hsm_random.one, "+
			"ephemeral.hsm_random.most]")),
	)
	if b.faults.Count("C_GenerateRandom") < 8 { // in the plan and in the apply
		t.Errorf("the token was asked %d times", b.faults.Count("C_GenerateRandom"))
	}
}

// run runs a command, and gives what it says where it fails.
func run(args ...string) error {
	out, err := exec.Command(args[0], args[1:]...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}
