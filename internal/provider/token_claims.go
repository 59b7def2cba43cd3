package provider

import (
	"slices"
	"sync"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/provider/diagnose"
)

// tokenClaim is a resource of the state, and the token that the state says it manages.
type tokenClaim struct {
	mark   string // the resource's instanceMark
	token  tokenResourceModel
	leaves bool // it is planned to leave the state, and its token to stay as it is
}

func (c tokenClaim) label() string { return c.token.Label.ValueString() }

// sameToken says that two resources have the same token, as far as the state tells. Makes of token that give no serial
// number have the label alone.
func (c tokenClaim) sameToken(other tokenClaim) bool {
	a, b := c.token.ref(), other.token.ref()
	return a.Label == b.Label && (a.Serial == b.Serial || a.Serial == "" || b.Serial == "")
}

// tokenClaims are the resources hsm_token that a process has been asked about. Terraform plans them one by one and at
// the same time, so that the one that comes later finds what is wrong with both.
type tokenClaims struct {
	mu      sync.Mutex
	read    []tokenClaim // those whose token was read
	held    []tokenClaim // those whose state was planned
	planned []string     // labels of new tokens
	made    []string     // labels of tokens that an apply has made, or is about to
}

// met notes a resource whose token was read.
func (c *tokenClaims) met(own tokenClaim) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.read = append(c.read, own)
}

// hold notes a resource whose state is planned, and is an error where another resource has the same token, or is to get
// one of that label.
func (c *tokenClaims) hold(own tokenClaim) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	rival := slices.ContainsFunc(c.held, func(other tokenClaim) bool {
		return other.mark != own.mark && other.sameToken(own) && !other.leaves && !own.leaves
	})
	c.held = append(c.held, own)
	if rival || !own.leaves && slices.Contains(c.planned, own.label()) {
		return &diagnose.TokenManagedError{Label: own.label()}
	}
	return nil
}

// replacedBy is the resource in whose token's place a new one is planned. For -replace and replace_triggered_by
// Terraform plans a second time, without the state, but with the mark that the first plan had. Of a tainted resource it
// gives neither: it is one of that label that was read, and whose state no plan was asked about.
func (c *tokenClaims) replacedBy(mark, label string) (old tokenClaim, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	labelled := func(other tokenClaim) bool { return other.label() == label }
	if mark != "" {
		i := slices.IndexFunc(c.held, func(other tokenClaim) bool { return other.mark == mark })
		if i < 0 {
			return tokenClaim{}, false
		}
		return c.held[i], true
	}
	if i := slices.IndexFunc(c.read, labelled); i >= 0 && !slices.ContainsFunc(c.held, labelled) {
		return c.read[i], true
	}
	return tokenClaim{}, false
}

// want notes a new token that is planned, and is an error where another resource has a token of that label, or is to
// get one. mark is what a replacement has.
func (c *tokenClaims) want(mark, label string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if slices.Contains(c.planned, label) || slices.ContainsFunc(c.held, func(other tokenClaim) bool {
		return other.mark != mark && other.label() == label && !other.leaves
	}) {
		return &diagnose.TokenManagedError{Label: label}
	}
	c.planned = append(c.planned, label)
	return nil
}

// make notes a token that an apply is about to make, and is an error where it has made one of that label: one that was
// made a moment ago looks just like one whose making was interrupted.
func (c *tokenClaims) make(label string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if slices.Contains(c.made, label) {
		return &diagnose.TokenManagedError{Label: label}
	}
	c.made = append(c.made, label)
	return nil
}

// destroying is an error where this apply has made the token that is about to be destroyed: so it is with
// create_before_destroy, where the new token is the old one.
func (c *tokenClaims) destroying(label string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if slices.Contains(c.made, label) {
		return &diagnose.TokenManagedError{Label: label}
	}
	return nil
}
