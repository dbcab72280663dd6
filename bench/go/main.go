// Asynq does with Go's asynq what the benchmark asks for, a line on stdin each:
//
//	enqueue COUNT WIDTH   then tells "done"
//	drain CONCURRENCY     then tells "ready"
//	listen                then tells "ready", and of each task the Unix µs at which its handler started
//	stop                  then tells "done" and how often a handler has run
//
// Its arguments are the server's address and the names of the queues.
package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hibiken/asynq"
)

var (
	out  = bufio.NewWriter(os.Stdout)
	lock sync.Mutex
	runs atomic.Int64
)

func tell(words ...any) {
	lock.Lock()
	defer lock.Unlock()
	fmt.Fprintln(out, words...)
	out.Flush()
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func main() {
	redis := asynq.RedisClientOpt{Addr: os.Args[1]}
	queues := os.Args[2:]
	client := asynq.NewClient(redis)
	var server *asynq.Server
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		var verb string
		var count, width int
		fmt.Sscan(lines.Text(), &verb, &count, &width)
		switch verb {
		case "enqueue":
			enqueue(client, queues, count, width)
			tell("done")
		case "drain":
			server = serve(redis, queues, count, func() {})
			tell("ready")
		case "listen":
			server = serve(redis, queues, 10, func() { tell(time.Now().UnixMicro()) })
			tell("ready")
		case "stop":
			server.Shutdown()
			tell("done", runs.Load())
		}
	}
}

// enqueue keeps width calls under way until count have been made.
func enqueue(client *asynq.Client, queues []string, count, width int) {
	var next atomic.Int64
	var group sync.WaitGroup
	for range width {
		group.Add(1)
		go func() {
			defer group.Done()
			for {
				n := int(next.Add(1))
				if n > count {
					return
				}
				task := asynq.NewTask("noop", fmt.Appendf(nil, `{"n":%d}`, n))
				_, err := client.Enqueue(task, asynq.Queue(queues[n%len(queues)]))
				check(err)
			}
		}()
	}
	group.Wait()
}

func serve(redis asynq.RedisClientOpt, queues []string, concurrency int, started func()) *asynq.Server {
	weights := map[string]int{}
	for _, name := range queues {
		weights[name] = 1
	}
	server := asynq.NewServer(redis, asynq.Config{Concurrency: concurrency, Queues: weights, LogLevel: asynq.ErrorLevel})
	check(server.Start(asynq.HandlerFunc(func(context.Context, *asynq.Task) error {
		runs.Add(1)
		started()
		return nil
	})))
	return server
}
