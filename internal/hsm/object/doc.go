// Package object holds facts about objects on a token: an object made of its attributes ([Decode]), what differs
// between types of key ([Spec]), templates for new keys ([Template]) and for changes ([Change]), which halves make a
// key ([Key]), and the [Inventory] of a token with every way to look into it. It makes no calls.
package object
