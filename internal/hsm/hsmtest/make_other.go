//go:build !windows

package hsmtest

var ownMakes []Make // none here
