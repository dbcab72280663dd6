// Witness is Go's own asynq, driven by tests: a request a line on stdin, its answer a line on stdout, each as JSON.
// Requests are carried out side by side. What servers do is told as events, in lines between the answers.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"sync"

	"github.com/hibiken/asynq"
)

type request struct {
	N    int             `json:"n"`
	Do   string          `json:"do"`
	With json.RawMessage `json:"with"`
}

type answer struct {
	N     int    `json:"n"`
	Value any    `json:"value,omitempty"`
	Error string `json:"error,omitempty"`
}

// verbs are what can be asked for; each reads its own arguments.
var verbs = map[string]func(json.RawMessage) (any, error){
	"enqueue": with(enqueue),
	"serve":   with(serve),
	"stop":    with(stop),
	"inspect": with(inspect),
	"read":    with(read),
}

// with makes a verb of a function of its arguments.
func with[A any](act func(A) (any, error)) func(json.RawMessage) (any, error) {
	return func(raw json.RawMessage) (any, error) {
		var arguments A
		if err := json.Unmarshal(raw, &arguments); err != nil {
			return nil, err
		}
		return act(arguments)
	}
}

var (
	redis     asynq.RedisConnOpt
	client    *asynq.Client
	inspector *asynq.Inspector

	stdout = json.NewEncoder(os.Stdout)
	told   sync.Mutex
)

func tell(line any) {
	told.Lock()
	defer told.Unlock()
	if err := stdout.Encode(line); err != nil {
		os.Exit(1) // Nobody listens any more.
	}
}

// redisAt takes the address of a server, or those of a Cluster's nodes.
func redisAt(addresses []string) asynq.RedisConnOpt {
	if len(addresses) > 1 {
		return asynq.RedisClusterClientOpt{Addrs: addresses}
	}
	return asynq.RedisClientOpt{Addr: addresses[0]}
}

func main() {
	redis = redisAt(os.Args[1:])
	client = asynq.NewClient(redis)
	inspector = asynq.NewInspector(redis)

	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		var asked request
		if err := json.Unmarshal(lines.Bytes(), &asked); err != nil {
			panic(err)
		}
		go func() {
			value, err := carryOut(asked)
			if err != nil {
				tell(answer{N: asked.N, Error: err.Error()})
				return
			}
			tell(answer{N: asked.N, Value: value})
		}()
	}
}

func carryOut(asked request) (value any, err error) {
	defer func() {
		if panicked := recover(); panicked != nil {
			err = fmt.Errorf("panic: %v", panicked)
		}
	}()
	verb, found := verbs[asked.Do]
	if !found {
		return nil, fmt.Errorf("no verb %q", asked.Do)
	}
	return verb(asked.With)
}
