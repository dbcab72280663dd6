package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"sync"
	"time"

	"github.com/hibiken/asynq"
)

type serveIn struct {
	Concurrency int            `json:"concurrency"`
	Queues      map[string]int `json:"queues"`
	// Handlers by type; "*" stands for all others.
	Handlers map[string]script `json:"handlers"`
	// RetryDelayMs is between a failure and the next try; forwarding to pending has a period of its own.
	RetryDelayMs int64 `json:"retryDelayMs"`
	TaskCheckMs  int64 `json:"taskCheckMs"`
	ForwardMs    int64 `json:"forwardMs"`
	JanitorMs    int64 `json:"janitorMs"`
	// ShutdownMs is how long stopping waits for handlers.
	ShutdownMs int64 `json:"shutdownMs"`
	// Journal is a file to which each start and end is appended by a write of its own; then no events are told.
	Journal string `json:"journal"`
}

// script is what a handler does, in this order.
type script struct {
	// Result is written, if there is one.
	Result []byte `json:"result"`
	// SleepMs passes, unless the context ends first.
	SleepMs int64 `json:"sleepMs"`
	// Block waits for the end of the context, and fails with why it ended.
	Block bool `json:"block"`
	// Fail so many times, with Error; Skip the retries that are left, or Revoke the task.
	Fail   int    `json:"fail"`
	Error  string `json:"error"`
	Skip   bool   `json:"skip"`
	Revoke bool   `json:"revoke"`
}

// event is what a handler saw, and when it is over, what it answered.
type event struct {
	Event      string            `json:"event"`
	ID         string            `json:"id"`
	Type       string            `json:"type"`
	Payload    []byte            `json:"payload"`
	Headers    map[string]string `json:"headers"`
	Queue      string            `json:"queue"`
	Retried    int               `json:"retried"`
	MaxRetry   int               `json:"maxRetry"`
	DeadlineMs int64             `json:"deadlineMs"`
	Error      string            `json:"error,omitempty"`
}

var (
	server     *asynq.Server
	serverLock sync.Mutex
)

func serve(in serveIn) (any, error) {
	serverLock.Lock()
	defer serverLock.Unlock()
	if server != nil {
		return nil, errors.New("a server is running")
	}
	var journal io.Writer
	if in.Journal != "" {
		file, err := os.OpenFile(in.Journal, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			return nil, err
		}
		journal = file
	}
	starting := asynq.NewServer(redis, asynq.Config{
		Concurrency:              in.Concurrency,
		Queues:                   in.Queues,
		RetryDelayFunc:           func(int, error, *asynq.Task) time.Duration { return ms(in.RetryDelayMs) },
		TaskCheckInterval:        ms(in.TaskCheckMs),
		DelayedTaskCheckInterval: ms(in.ForwardMs),
		JanitorInterval:          ms(in.JanitorMs),
		ShutdownTimeout:          ms(in.ShutdownMs),
		Logger:                   stderrLogger{log.New(os.Stderr, "", 0)},
		LogLevel:                 asynq.WarnLevel,
	})
	err := starting.Start(asynq.HandlerFunc(func(ctx context.Context, task *asynq.Task) error {
		seen := see(ctx, task)
		note(journal, "start", seen)
		err := play(ctx, in.Handlers, task, seen.Retried)
		if err != nil {
			seen.Error = err.Error()
		}
		note(journal, "end", seen)
		return err
	}))
	if err != nil {
		return nil, err
	}
	server = starting
	return nil, nil
}

func stop(struct{}) (any, error) {
	serverLock.Lock()
	defer serverLock.Unlock()
	if server != nil {
		server.Shutdown()
		server = nil
	}
	return nil, nil
}

func see(ctx context.Context, task *asynq.Task) event {
	id, _ := asynq.GetTaskID(ctx)
	queue, _ := asynq.GetQueueName(ctx)
	retried, _ := asynq.GetRetryCount(ctx)
	maxRetry, _ := asynq.GetMaxRetry(ctx)
	deadline, _ := ctx.Deadline()
	return event{
		ID: id, Type: task.Type(), Payload: task.Payload(), Headers: task.Headers(),
		Queue: queue, Retried: retried, MaxRetry: maxRetry, DeadlineMs: deadline.UnixMilli(),
	}
}

func note(journal io.Writer, what string, seen event) {
	if journal == nil {
		seen.Event = what
		tell(seen)
		return
	}
	// The columns of a Holdfast worker's journal; a Go worker knows nothing of crashes.
	fmt.Fprintf(journal, "%s %s %d 0 %d\n", what, seen.ID, seen.Retried+1, time.Now().UnixMilli())
}

func play(ctx context.Context, handlers map[string]script, task *asynq.Task, retried int) error {
	does, found := handlers[task.Type()]
	if !found {
		does = handlers["*"]
	}
	if does.Result != nil {
		if _, err := task.ResultWriter().Write(does.Result); err != nil {
			return err
		}
	}
	if does.SleepMs > 0 {
		select {
		case <-time.After(ms(does.SleepMs)):
		case <-ctx.Done():
		}
	}
	if does.Block {
		<-ctx.Done()
		return ctx.Err()
	}
	if does.Revoke {
		return asynq.RevokeTask
	}
	if retried < does.Fail {
		if does.Skip {
			return fmt.Errorf("%s: %w", does.Error, asynq.SkipRetry)
		}
		return errors.New(does.Error)
	}
	return nil
}

// stderrLogger writes warnings and errors in one line each.
type stderrLogger struct{ *log.Logger }

func (l stderrLogger) Debug(args ...any) {}
func (l stderrLogger) Info(args ...any)  {}
func (l stderrLogger) Warn(args ...any)  { l.Println(append([]any{"WARN"}, args...)...) }
func (l stderrLogger) Error(args ...any) { l.Println(append([]any{"ERROR"}, args...)...) }
func (l stderrLogger) Fatal(args ...any) { l.Println(append([]any{"FATAL"}, args...)...); os.Exit(1) }
