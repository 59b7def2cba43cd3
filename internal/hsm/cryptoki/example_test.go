package cryptoki_test

import (
	"context"
	"fmt"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
)

// List the IDs of the keys of the first token that a module has.
func ExampleOpen() {
	err := func(ctx context.Context) error {
		m, err := cryptoki.Open(ctx, "/usr/lib/softhsm/libsofthsm2.so")
		if err != nil {
			return err
		}
		defer m.Close()
		slots, err := m.GetSlotList(ctx, true)
		if err != nil || len(slots) == 0 {
			return err
		}
		s, err := m.OpenSession(ctx, slots[0], false)
		if err != nil {
			return err
		}
		defer func() { _ = s.CloseSession(ctx) }()
		if err := s.Login(ctx, cryptoki.CKU_USER, []byte("1234")); err != nil {
			return err
		}
		objects, err := s.FindObjects(ctx, nil)
		if err != nil {
			return err
		}
		for _, object := range objects {
			attributes, err := s.GetAttributeValue(ctx, object, []cryptoki.AttributeType{cryptoki.CKA_ID})
			if err != nil {
				return err
			}
			fmt.Printf("%x\n", attributes[cryptoki.CKA_ID])
		}
		return nil
	}(context.Background())
	if err != nil {
		fmt.Println(err)
	}
}
