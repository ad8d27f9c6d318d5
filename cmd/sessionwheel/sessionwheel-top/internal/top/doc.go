// Package top shows a running server in the terminal, from the JSON that its
// dashboard serves: live, or once as plain text.
//
// Nothing that a server says is trusted: answers are bounded in size, and what
// they contain is shown without control characters.
package top
