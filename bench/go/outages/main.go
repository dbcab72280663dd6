// Outages lets Go's asynq meet outages: lines of JSON in and out, as bench/outages/actor.ts tells them. Its argument is
// asynq's version.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/url"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hibiken/asynq"
)

// callerPatience is how long a caller waits, as in bench/outages/contender.ts.
const callerPatience = 5 * time.Second

const queue = "outage"

type ask struct {
	ID          int     `json:"id"`
	Verb        string  `json:"verb"`
	URL         string  `json:"url"`
	From        *int    `json:"from"`
	Count       *int    `json:"count"`
	PerSecond   float64 `json:"perSecond"`
	Bytes       int     `json:"bytes"`
	InMs        int     `json:"inMs"`
	WithID      bool    `json:"withId"`
	Quiet       bool    `json:"quiet"`
	Concurrency int     `json:"concurrency"`
	HandlerMs   int     `json:"handlerMs"`
	EveryMs     int     `json:"everyMs"`
}

type payload struct {
	N       int    `json:"n"`
	Ballast string `json:"ballast"`
}

var (
	out  = bufio.NewWriter(os.Stdout)
	lock sync.Mutex
)

func say(words ...any) {
	line, _ := json.Marshal(words)
	lock.Lock()
	defer lock.Unlock()
	out.Write(append(line, '\n'))
	out.Flush()
}

// teller is asynq's log.
type teller struct{}

func (teller) Debug(...any)      {}
func (teller) Info(...any)       {}
func (teller) Warn(args ...any)  { say("told", fmt.Sprint(args...)) }
func (teller) Error(args ...any) { say("told", fmt.Sprint(args...)) }
func (teller) Fatal(args ...any) { say("told", fmt.Sprint(args...)) }

type actor struct {
	redis             asynq.RedisClientOpt
	client            *asynq.Client
	server            *asynq.Server
	accepted, refused atomic.Int64
}

func main() {
	// go-redis writes its own complaints with log.
	log.SetOutput(io.Discard)
	version := os.Args[1]
	a := &actor{}
	lines := bufio.NewScanner(os.Stdin)
	say("reply", 0, nil)
	for lines.Scan() {
		var one ask
		if err := json.Unmarshal(lines.Bytes(), &one); err != nil {
			say("told", err.Error())
			continue
		}
		if one.Verb == "open" {
			place, _ := url.Parse(one.URL)
			a.redis = asynq.RedisClientOpt{Addr: place.Host}
			a.client = asynq.NewClient(a.redis)
			say("reply", one.ID, version)
			continue
		}
		go func() {
			value, err := a.handle(one)
			if err != nil {
				say("told", one.Verb+": "+err.Error())
				return
			}
			say("reply", one.ID, value)
		}()
	}
}

func (a *actor) handle(one ask) (any, error) {
	switch one.Verb {
	case "enqueue":
		a.enqueueAll(one)
		return a.counts(), nil
	case "work":
		return nil, a.work(one)
	case "repeat":
		scheduler := asynq.NewScheduler(a.redis, &asynq.SchedulerOpts{Logger: teller{}, LogLevel: asynq.WarnLevel})
		every := fmt.Sprintf("@every %dms", one.EveryMs)
		if _, err := scheduler.Register(every, asynq.NewTask("outage", []byte(`{"n":0}`)), asynq.Queue(queue)); err != nil {
			return nil, err
		}
		return true, scheduler.Start()
	case "left":
		info, err := asynq.NewInspector(a.redis).GetQueueInfo(queue)
		if err != nil {
			return nil, err
		}
		waiting := info.Pending + info.Active + info.Scheduled + info.Retry
		return map[string]int{"waiting": waiting, "dead": info.Archived}, nil
	case "counts":
		return a.counts(), nil
	case "held":
		var memory runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&memory)
		return float64(memory.HeapAlloc+memory.StackInuse) / (1 << 20), nil
	case "stop":
		a.server.Shutdown()
		return nil, nil
	}
	return nil, fmt.Errorf("no such verb")
}

func (a *actor) counts() map[string]int64 {
	return map[string]int64{"accepted": a.accepted.Load(), "refused": a.refused.Load()}
}

// enqueueAll makes all calls, each in a goroutine of its own, and waits for none.
func (a *actor) enqueueAll(one ask) {
	from, count := 1, 1
	if one.From != nil {
		from = *one.From
	}
	if one.Count != nil {
		count = *one.Count
	}
	start := time.Now()
	for n := from; n < from+count; n++ {
		go a.enqueue(n, one)
		if one.PerSecond > 0 {
			time.Sleep(time.Until(start.Add(time.Duration(float64(n+1-from) / one.PerSecond * float64(time.Second)))))
		}
	}
}

func (a *actor) enqueue(n int, one ask) {
	start := time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), callerPatience)
	defer cancel()
	body, _ := json.Marshal(payload{N: n, Ballast: strings.Repeat("x", one.Bytes)})
	options := []asynq.Option{asynq.Queue(queue)}
	if one.InMs > 0 {
		options = append(options, asynq.ProcessIn(time.Duration(one.InMs)*time.Millisecond))
	}
	if one.WithID {
		options = append(options, asynq.TaskID(fmt.Sprintf("task-%d", n)))
	}
	_, err := a.client.EnqueueContext(ctx, asynq.NewTask("outage", body), options...)
	word := "accepted"
	if err != nil {
		word = err.Error()
		a.refused.Add(1)
	} else {
		a.accepted.Add(1)
	}
	if !one.Quiet {
		say("answer", n, err == nil, word, float64(time.Since(start).Microseconds())/1_000)
	}
}

func (a *actor) work(one ask) error {
	a.server = asynq.NewServer(a.redis, asynq.Config{
		Concurrency: one.Concurrency,
		Queues:      map[string]int{queue: 1},
		Logger:      teller{},
		LogLevel:    asynq.WarnLevel,
	})
	return a.server.Start(asynq.HandlerFunc(func(_ context.Context, task *asynq.Task) error {
		var body payload
		if err := json.Unmarshal(task.Payload(), &body); err != nil {
			return err
		}
		say("start", body.N)
		time.Sleep(time.Duration(one.HandlerMs) * time.Millisecond)
		say("end", body.N)
		return nil
	}))
}
