// Package object holds facts about objects on a token, and makes no calls: an object out of its attributes ([Decode]),
// what differs between types of key (a [Spec] each), templates for new keys ([Template]) and for changes ([Change]),
// which halves make a key ([Key]), and the [Inventory] of a token with every way to look into it.
package object
