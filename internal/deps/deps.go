// Package deps tests the rule of which package may import which. It has no other code.
package deps
