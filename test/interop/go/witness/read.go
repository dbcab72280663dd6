package main

import (
	"fmt"

	"github.com/hibiken/asynq"
)

// readIn says what of a queue is to be read: what it tells of itself, and of these states the list and each of these tasks.
type readIn struct {
	Queue string        `json:"queue"`
	Group string        `json:"group"`
	Info  bool          `json:"info"`
	Of    []stateToRead `json:"of"`
}

type stateToRead struct {
	State string   `json:"state"`
	IDs   []string `json:"ids"`
}

// readOut says what cannot be read, and how many tasks each list tells.
type readOut struct {
	Wrong  []string       `json:"wrong"`
	Listed map[string]int `json:"listed"`
}

// read does in one request what `inspect` does in one for each: there may be thousands of queues.
func read(in readIn) (any, error) {
	out := readOut{Wrong: []string{}, Listed: map[string]int{}}
	note := func(what string, err error) bool {
		if err != nil {
			out.Wrong = append(out.Wrong, fmt.Sprintf("Go cannot read %s: %v", what, err))
		}
		return err == nil
	}
	if in.Info {
		_, err := inspector.GetQueueInfo(in.Queue)
		note("the queue", err)
	}
	for _, of := range in.Of {
		for _, id := range of.IDs {
			_, err := inspector.GetTaskInfo(in.Queue, id)
			note("task "+id, err)
		}
		infos, err := infosOf(in.Queue, of.State, in.Group, asynq.PageSize(1_000))
		if note("the list of "+of.State, err) {
			out.Listed[of.State] = len(infos)
		}
	}
	return out, nil
}
