package main

import (
	"fmt"
	"time"

	"github.com/hibiken/asynq"
)

// inspectIn names a verb of asynq's Inspector and its arguments; each verb reads those it takes.
type inspectIn struct {
	Verb    string `json:"verb"`
	Queue   string `json:"queue"`
	ID      string `json:"id"`
	State   string `json:"state"`
	Group   string `json:"group"`
	Page    int    `json:"page"`
	Size    int    `json:"size"`
	Days    int    `json:"days"`
	Force   bool   `json:"force"`
	Payload []byte `json:"payload"`
}

// taskOut is asynq's TaskInfo, times in Unix ms, 0 for none.
type taskOut struct {
	ID              string            `json:"id"`
	Queue           string            `json:"queue"`
	Type            string            `json:"type"`
	Payload         []byte            `json:"payload"`
	Headers         map[string]string `json:"headers"`
	State           string            `json:"state"`
	MaxRetry        int               `json:"maxRetry"`
	Retried         int               `json:"retried"`
	LastErr         string            `json:"lastErr"`
	LastFailedAtMs  int64             `json:"lastFailedAtMs"`
	TimeoutMs       int64             `json:"timeoutMs"`
	DeadlineMs      int64             `json:"deadlineMs"`
	Group           string            `json:"group"`
	NextProcessAtMs int64             `json:"nextProcessAtMs"`
	IsOrphaned      bool              `json:"isOrphaned"`
	RetentionMs     int64             `json:"retentionMs"`
	CompletedAtMs   int64             `json:"completedAtMs"`
	Result          []byte            `json:"result"`
}

func taskOf(info *asynq.TaskInfo) taskOut {
	return taskOut{
		ID: info.ID, Queue: info.Queue, Type: info.Type, Payload: info.Payload, Headers: info.Headers,
		State: info.State.String(), MaxRetry: info.MaxRetry, Retried: info.Retried,
		LastErr: info.LastErr, LastFailedAtMs: unixMs(info.LastFailedAt),
		TimeoutMs: info.Timeout.Milliseconds(), DeadlineMs: unixMs(info.Deadline),
		Group: info.Group, NextProcessAtMs: unixMs(info.NextProcessAt), IsOrphaned: info.IsOrphaned,
		RetentionMs: info.Retention.Milliseconds(), CompletedAtMs: unixMs(info.CompletedAt), Result: info.Result,
	}
}

func unixMs(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func inspect(in inspectIn) (any, error) {
	queue, id, group := in.Queue, in.ID, in.Group
	switch in.Verb {
	case "queues":
		return inspector.Queues()
	case "queue":
		return inspector.GetQueueInfo(queue)
	case "history":
		return inspector.History(queue, in.Days)
	case "groups":
		return inspector.Groups(queue)
	case "servers":
		return inspector.Servers()
	case "task":
		info, err := inspector.GetTaskInfo(queue, id)
		if err != nil {
			return nil, err
		}
		return taskOf(info), nil
	case "list":
		return list(in)
	case "run":
		return nil, inspector.RunTask(queue, id)
	case "archive":
		return nil, inspector.ArchiveTask(queue, id)
	case "delete":
		return nil, inspector.DeleteTask(queue, id)
	case "update":
		return nil, inspector.UpdateTaskPayload(queue, id, in.Payload)
	case "cancel":
		return nil, inspector.CancelProcessing(id)
	case "pause":
		return nil, inspector.PauseQueue(queue)
	case "resume":
		return nil, inspector.UnpauseQueue(queue)
	case "drop":
		return nil, inspector.DeleteQueue(queue, in.Force)
	}
	if in.State == "aggregating" {
		ofGroup := map[string]func(string, string) (int, error){
			"runAll":     inspector.RunAllAggregatingTasks,
			"archiveAll": inspector.ArchiveAllAggregatingTasks,
			"deleteAll":  inspector.DeleteAllAggregatingTasks,
		}
		if act, found := ofGroup[in.Verb]; found {
			return act(queue, group)
		}
	}
	ofState := map[string]func(string) (int, error){
		"runAll scheduled":     inspector.RunAllScheduledTasks,
		"runAll retry":         inspector.RunAllRetryTasks,
		"runAll archived":      inspector.RunAllArchivedTasks,
		"archiveAll pending":   inspector.ArchiveAllPendingTasks,
		"archiveAll scheduled": inspector.ArchiveAllScheduledTasks,
		"archiveAll retry":     inspector.ArchiveAllRetryTasks,
		"deleteAll pending":    inspector.DeleteAllPendingTasks,
		"deleteAll scheduled":  inspector.DeleteAllScheduledTasks,
		"deleteAll retry":      inspector.DeleteAllRetryTasks,
		"deleteAll archived":   inspector.DeleteAllArchivedTasks,
		"deleteAll completed":  inspector.DeleteAllCompletedTasks,
	}
	if act, found := ofState[in.Verb+" "+in.State]; found {
		return act(queue)
	}
	return nil, fmt.Errorf("no verb %q of state %q", in.Verb, in.State)
}

func list(in inspectIn) (any, error) {
	page := []asynq.ListOption{asynq.Page(max(in.Page, 1)), asynq.PageSize(in.Size)}
	if in.Size == 0 {
		page = nil
	}
	infos, err := infosOf(in.Queue, in.State, in.Group, page...)
	if err != nil {
		return nil, err
	}
	tasks := make([]taskOut, len(infos))
	for n, info := range infos {
		tasks[n] = taskOf(info)
	}
	return tasks, nil
}

func infosOf(queue, state, group string, page ...asynq.ListOption) ([]*asynq.TaskInfo, error) {
	if state == "aggregating" {
		return inspector.ListAggregatingTasks(queue, group, page...)
	}
	ofState := map[string]func(string, ...asynq.ListOption) ([]*asynq.TaskInfo, error){
		"pending":   inspector.ListPendingTasks,
		"active":    inspector.ListActiveTasks,
		"scheduled": inspector.ListScheduledTasks,
		"retry":     inspector.ListRetryTasks,
		"archived":  inspector.ListArchivedTasks,
		"completed": inspector.ListCompletedTasks,
	}
	return ofState[state](queue, page...)
}
