package main

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// script holds commands to which Redis and this program reply with the same text.
const script = `
PING
PING "hello world"
PING a b
ECHO
ECHO "a\r\nb\x00c"
echo ""
CLIENT SETINFO lib-name x
CLIENT MAINT_NOTIFICATIONS ON
CLIENT
CLIENT FOO bar
CLIENT ID x
CLIENT KILL
CLIENT KILL 1.2.3.4:5
CLIENT KILL ID 0
CLIENT KILL ID x
CLIENT KILL ID 77777
CLIENT KILL ID 77777 FOO
CLIENT KILL TYPE normal SKIPME maybe
CLIENT KILL ADDR 1.2.3.4:5 SKIPME no
CLIENT KILL ADDR "" SKIPME no
CLIENT KILL ""
CLIENT LIST FOO
CLIENT SETNAME "a b"
CLIENT SETNAME
CLIENT SETNAME abc
CLIENT GETNAME
CLIENT SETNAME ""
CLIENT GETNAME
CLIENT NO-EVICT on
CLIENT NO-EVICT off
CLIENT NO-EVICT foo
CONFIG
CONFIG FOO
CONFIG GET
CONFIG GET timeout
CONFIG GET TIME[opq]ut
CONFIG GET save
CONFIG GET appendonly
CONFIG GET nothing
CONFIG GET nothing timeout
CONFIG SET timeout
CONFIG SET timeout abc
CONFIG SET timeout -1
CONFIG SET timeout 2147483648
CONFIG SET nope 1
CONFIG SET timeout 3600
CONFIG GET timeout
CONFIG SET timeout 0
FOO
FOO a b c
Foo "x\ny"
INFO nothing
DBSIZE x
DBSIZE
GET a
GET
SET
SET a
SET a 1 EX
SET a 1 EX 0
SET a 1 EX -5
SET a 1 PX x
SET a 1 EX x NX XX
SET a 1 EX 10 PX 10
SET a 1 NX XX
SET a 1 FOO
SET a 1 EX 9223372036854775807
SET a 1 XX
EXISTS a
SET a 1
TTL a
SET a 2 EX 100
TTL a
INCR a
TTL a
SET a 4
TTL a
SET a 5 PX 100400
TTL a
SET a 6 EX 9223372036
TTL a
SET a 7 NX
GET a
SET b 1 NX
SET b 2 NX
SET a 8 XX
SET b 3 XX PX 50000
SET none 1 XX
GET none
GET a
INCR b
TTL b
INCR new
INCR
SET s abc
INCR s
SET s 9223372036854775807
INCR s
SET s -9223372036854775808
INCR s
SET s 9223372036854775808
INCR s
SET s " 1"
INCR s
SET s "01"
INCR s
SET s "+1"
INCR s
SET s "-0"
INCR s
SET s ""
INCR s
EXPIRE
EXPIRE s
EXPIRE s x
EXPIRE s 10 FOO
EXPIRE s 9223372036854775807
EXPIRE none 10
EXPIRE s 100
TTL s
EXPIRE s 50
TTL s
EXPIRE s 200
TTL s
EXPIRE s -1
EXISTS s
SET s 1
EXPIRE s 0
GET s
TTL s
SET s 1
EXISTS s s none a
DEL s s none
DEL
EXISTS
KEYS
KEYS none*
SET "a/b" 1
KEYS a?b
KEYS "a*b"
DEL a
KEYS "a[/x]b"
KEYS a\?b
KEYS [^b-z]/*
DBSIZE
FLUSHALL foo
FLUSHALL ASYNC SYNC
FLUSHALL ASYNC
DBSIZE
SET x 1
FLUSHALL
FLUSHALL SYNC
KEYS *
`

func TestRedisCli_GetsTheRepliesOfRedis(t *testing.T) {
	t.Parallel()
	replies := func(addr string) (lines []string) {
		for range 5 {
			start := time.Now()
			lines = strings.Split(cli(t, addr, script), "\n")
			if time.Since(start) < 500*time.Millisecond { // a pause of that length changes a TTL
				break
			}
		}
		return lines
	}
	theirs, mine := replies(real(t)), replies(ours(t))
	require.Greater(t, len(theirs), strings.Count(script, "\n"))
	for i := range theirs {
		require.Less(t, i, len(mine))
		require.Equal(t, theirs[i], mine[i], "line %d of %d, behind\n%s", i, len(theirs), strings.Join(mine[max(0, i-3):i], "\n"))
	}
	require.Equal(t, theirs, mine)
}

// Values that differ from call to call are replaced.
func TestRedisCli_GetsTheSameAboutItselfFromBoth(t *testing.T) {
	t.Parallel()
	const about = "CLIENT SETNAME me\nCLIENT LIST\nINFO clients\nINFO\nCLIENT ID\n"
	numbers := regexp.MustCompile(`\d+`)
	pick := regexp.MustCompile(`(?m)^(\(integer\) .*| *\d+\) .*|connected_clients:1|maxclients:10000|# Clients)\r?$|\b(id|addr|laddr|name|age|idle|flags|db|user|resp)=\S*`)
	facts := func(addr string) []string {
		lines := pick.FindAllString(cli(t, addr, about), -1)
		for i := range lines {
			lines[i] = strings.TrimSpace(numbers.ReplaceAllString(lines[i], "N"))
		}
		return lines
	}
	mine := facts(ours(t))
	require.Greater(t, len(mine), 15)
	require.Equal(t, facts(real(t)), mine)
}

func TestRedisCli_GetsTheSameRepliesToSingleCommands(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, addr string) {
		require.Equal(t, "OK\n", cli(t, addr, "", "SET", "key", "some text"))
		require.Equal(t, "\"some text\"\n", cli(t, addr, "", "GET", "key"))
		require.Contains(t, cli(t, addr, "HELLO 3\nPING\n"), "PONG")
	})
}
