package main

import (
	"context"
	"crypto"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/ThalesGroup/crypto11"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
	"golang.org/x/sync/errgroup"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/bench/raw"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/object"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/provider"
)

// workers are the contenders that are processes of this program: each does its work on the token that the environment
// names, as the provider's configuration does, and prints the seconds that it took.
var workers = map[string]func(arg func(int) int) error{
	"fill":         func(arg func(int) int) error { return rawGenerate(arg(0), 0, 2, keyID) },
	"raw-read":     func(func(int) int) error { return rawRead("") },
	"raw-few":      func(arg func(int) int) error { return rawRead(keyIDs(arg(0))...) },
	"raw-create":   func(arg func(int) int) error { return rawGenerate(arg(0), 4096, arg(1), newID) },
	"read":         func(arg func(int) int) error { return read(keyIDs(arg(0))) },
	"create":       func(arg func(int) int) error { return create(arg(0), arg(1)) },
	"jwks":         func(func(int) int) error { return readJWKS() },
	"crypto11":     func(arg func(int) int) error { return crypto11Pairs(keyIDs(arg(0))) },
	"crypto11-all": func(arg func(int) int) error { return crypto11All(arg(0)) },
	"make-signer":  func(arg func(int) int) error { return rawGenerate(1, arg(0), 1, signerID(arg(0))) },
	"sign":         func(arg func(int) int) error { return sign(arg(0), arg(1)) },
	"raw-sign":     func(arg func(int) int) error { return rawSign(arg(0), arg(1)) },
}

func work(name string, args []string) error {
	run, ok := workers[name]
	if !ok {
		return fmt.Errorf("no worker %q", name)
	}
	numbers := make([]int, len(args))
	for i, arg := range args {
		n, err := strconv.Atoi(arg)
		if err != nil {
			return err
		}
		numbers[i] = n
	}
	start := time.Now()
	if err := run(func(i int) int { return numbers[i] }); err != nil {
		return fmt.Errorf("worker %s: %w", name, err)
	}
	fmt.Printf("{\"seconds\": %f}\n", time.Since(start).Seconds())
	return nil
}

// terraformsParallelism is how many resources Terraform works on at a time where nobody says.
const terraformsParallelism = 10

// newID is for keys that are made beside others.
func newID(i int) string { return fmt.Sprintf("new-%d-%05d", os.Getpid(), i) }

func openRaw(sessions int) (*raw.Token, error) {
	return raw.Open(os.Getenv("HSM_LIBRARY"), os.Getenv("HSM_TOKEN_LABEL"), os.Getenv("HSM_PIN"), sessions)
}

// rawRead finds and reads the objects of the IDs, all for "", one call after the other.
func rawRead(ids ...string) error {
	token, err := openRaw(1)
	if err != nil {
		return err
	}
	for _, id := range ids {
		objects, err := token.Find(id)
		if err != nil {
			return err
		}
		if len(objects) < 2 {
			return fmt.Errorf("%d objects of the ID %q", len(objects), id)
		}
		for _, o := range objects {
			if err := token.Read(o); err != nil {
				return err
			}
		}
	}
	return nil
}

// rawGenerate makes pairs in several sessions at a time.
func rawGenerate(pairs, bits, sessions int, id func(int) string) error {
	token, err := openRaw(sessions)
	if err != nil {
		return err
	}
	next := make(chan int)
	var group errgroup.Group
	for session := range sessions {
		group.Go(func() (err error) {
			for i := range next {
				if err == nil {
					err = token.Generate(session, bits, id(i), id(i))
				}
			}
			return err
		})
	}
	for i := range pairs {
		next <- i
	}
	close(next)
	defer token.Close()
	return group.Wait()
}

func openToken() (*hsm.Token, error) {
	label := os.Getenv("HSM_TOKEN_LABEL")
	return hsm.Open(context.Background(), hsm.Config{Library: os.Getenv("HSM_LIBRARY"), Selector: hsm.Selector{Label: &label}, PIN: hsm.NewPIN(os.Getenv("HSM_PIN"))})
}

// read looks up pairs as a refresh does.
func read(ids []string) error {
	token, err := openToken()
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(context.Background())
	group.SetLimit(terraformsParallelism)
	for _, id := range ids {
		group.Go(func() error {
			_, err := token.Key(ctx, object.Ref{Type: object.EC, ID: []byte(id)})
			return err
		})
	}
	return group.Wait()
}

// create makes RSA pairs of 4096 bits as an apply does.
func create(pairs, parallel int) error {
	token, err := openToken()
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(context.Background())
	group.SetLimit(parallel)
	for i := range pairs {
		group.Go(func() error {
			_, err := token.Generate(ctx, object.Template{
				Type: object.RSA, Label: newID(i), ModulusBits: 4096, PublicExponent: 65537, Usage: object.Sign,
			})
			return err
		})
	}
	return group.Wait()
}

// readJWKS has the provider read the data source hsm_jwks, with all keys of the token, by Terraform's protocol.
func readJWKS() error {
	ctx := context.Background()
	if err := provider.LimitLogs(); err != nil {
		return err
	}
	server := provider.NewServer(provider.New("bench"))()
	schemas, err := server.GetProviderSchema(ctx, &tfprotov6.GetProviderSchemaRequest{})
	if err != nil {
		return err
	}
	empty := func(schema *tfprotov6.Schema) *tfprotov6.DynamicValue {
		object := schema.ValueType().(tftypes.Object)
		values := map[string]tftypes.Value{}
		for name, t := range object.AttributeTypes {
			values[name] = tftypes.NewValue(t, nil)
		}
		value, valueErr := tfprotov6.NewDynamicValue(object, tftypes.NewValue(object, values))
		err = errors.Join(err, valueErr)
		return &value
	}
	configuration, selection := empty(schemas.Provider), empty(schemas.DataSourceSchemas["hsm_jwks"])
	if err != nil {
		return err
	}
	if _, err := server.ConfigureProvider(ctx, &tfprotov6.ConfigureProviderRequest{Config: configuration}); err != nil {
		return err
	}
	set, err := server.ReadDataSource(ctx, &tfprotov6.ReadDataSourceRequest{TypeName: "hsm_jwks", Config: selection})
	if err != nil {
		return err
	}
	for _, d := range set.Diagnostics {
		err = errors.Join(err, fmt.Errorf("%s: %s", d.Summary, d.Detail))
	}
	return err
}

// signerID is the ID of the pair that signs: RSA of so many bits, on P-256 for 0.
func signerID(bits int) func(int) string {
	return func(int) string { return fmt.Sprintf("signer-%d", bits) }
}

// sign signs a text so many times, as a certificate is signed, and verifies each signature.
func sign(bits, times int) error {
	ctx := context.Background()
	token, err := openToken()
	if err != nil {
		return err
	}
	pair, err := token.Key(ctx, object.Ref{ID: []byte(signerID(bits)(0))})
	if err != nil {
		return err
	}
	signer, err := token.Signer(ctx, pair.PublicKey)
	for range times {
		if err != nil {
			return err
		}
		_, err = signer.SignMessage(nil, signed, crypto.SHA256)
	}
	return err
}

// rawSign signs the same text without verifying.
func rawSign(bits, times int) error {
	token, err := openRaw(1)
	if err != nil {
		return err
	}
	objects, err := token.Find(signerID(bits)(0))
	if err != nil {
		return err
	}
	digest := sha256.Sum256(signed)
	data := digest[:]
	if bits > 0 {
		data = append(digestInfo, data...)
	}
	for _, o := range objects { // the public half signs nothing
		if err = token.Sign(o, bits > 0, data); err != nil {
			continue
		}
		for range times - 1 {
			if err := token.Sign(o, bits > 0, data); err != nil {
				return err
			}
		}
		return nil
	}
	return err
}

var signed = []byte("what the benchmark signs")

// digestInfo is the DER of DigestInfo before a digest of SHA-256 (RFC 8017, 9.2).
var digestInfo = []byte{
	0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20,
}

func openCrypto11() (*crypto11.Context, error) {
	return crypto11.Configure(&crypto11.Config{Path: os.Getenv("HSM_LIBRARY"), TokenLabel: os.Getenv("HSM_TOKEN_LABEL"), Pin: os.Getenv("HSM_PIN")})
}

// crypto11Pairs finds pairs one after the other.
func crypto11Pairs(ids []string) error {
	c, err := openCrypto11()
	if err != nil {
		return err
	}
	for _, id := range ids {
		pair, err := c.FindKeyPair([]byte(id), nil)
		if err != nil {
			return err
		}
		if pair == nil {
			return fmt.Errorf("no pair %q", id)
		}
	}
	return nil
}

func crypto11All(pairs int) error {
	c, err := openCrypto11()
	if err != nil {
		return err
	}
	all, err := c.FindAllKeyPairs()
	if err == nil && len(all) != pairs {
		err = fmt.Errorf("%d pairs, not %d", len(all), pairs)
	}
	return err
}
