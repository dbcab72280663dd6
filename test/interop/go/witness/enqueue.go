package main

import (
	"sync"
	"time"

	"github.com/hibiken/asynq"
)

// taskIn is a task with all its options. Payload is base64; null and "" are not the same to asynq.
type taskIn struct {
	Type        string            `json:"type"`
	Payload     []byte            `json:"payload"`
	Headers     map[string]string `json:"headers"`
	ID          string            `json:"id"`
	Queue       string            `json:"queue"`
	MaxRetry    *int              `json:"maxRetry"`
	TimeoutMs   int64             `json:"timeoutMs"`
	DeadlineMs  int64             `json:"deadlineMs"`
	UniqueMs    int64             `json:"uniqueMs"`
	RetentionMs int64             `json:"retentionMs"`
	ProcessAtMs int64             `json:"processAtMs"`
	ProcessInMs int64             `json:"processInMs"`
	Group       string            `json:"group"`
}

func (t taskIn) task() (*asynq.Task, []asynq.Option) {
	var options []asynq.Option
	add := func(given bool, option asynq.Option) {
		if given {
			options = append(options, option)
		}
	}
	if t.MaxRetry != nil {
		add(true, asynq.MaxRetry(*t.MaxRetry))
	}
	add(t.ID != "", asynq.TaskID(t.ID))
	add(t.Queue != "", asynq.Queue(t.Queue))
	add(t.TimeoutMs != 0, asynq.Timeout(ms(t.TimeoutMs)))
	add(t.DeadlineMs != 0, asynq.Deadline(time.UnixMilli(t.DeadlineMs)))
	add(t.UniqueMs != 0, asynq.Unique(ms(t.UniqueMs)))
	add(t.RetentionMs != 0, asynq.Retention(ms(t.RetentionMs)))
	add(t.ProcessAtMs != 0, asynq.ProcessAt(time.UnixMilli(t.ProcessAtMs)))
	add(t.ProcessInMs != 0, asynq.ProcessIn(ms(t.ProcessInMs)))
	add(t.Group != "", asynq.Group(t.Group))
	return asynq.NewTaskWithHeaders(t.Type, t.Payload, t.Headers), options
}

func ms(n int64) time.Duration { return time.Duration(n) * time.Millisecond }

type enqueueIn struct {
	Tasks []taskIn `json:"tasks"`
	// Together: all at the same time, each by a client of its own.
	Together bool `json:"together"`
}

// receipt has the id, or why the task was not taken.
type receipt struct {
	ID    string `json:"id,omitempty"`
	Error string `json:"error,omitempty"`
}

func enqueue(in enqueueIn) (any, error) {
	receipts := make([]receipt, len(in.Tasks))
	put := func(n int, by *asynq.Client) {
		task, options := in.Tasks[n].task()
		info, err := by.Enqueue(task, options...)
		if err != nil {
			receipts[n] = receipt{Error: err.Error()}
			return
		}
		receipts[n] = receipt{ID: info.ID}
	}
	if !in.Together {
		for n := range in.Tasks {
			put(n, client)
		}
		return receipts, nil
	}
	var all sync.WaitGroup
	for n := range in.Tasks {
		all.Add(1)
		go func() {
			defer all.Done()
			put(n, clientOfItsOwn(n))
		}()
	}
	all.Wait()
	return receipts, nil
}

var (
	others     = map[int]*asynq.Client{}
	othersLock sync.Mutex
)

func clientOfItsOwn(n int) *asynq.Client {
	othersLock.Lock()
	defer othersLock.Unlock()
	if others[n] == nil {
		others[n] = asynq.NewClient(redis)
	}
	return others[n]
}
