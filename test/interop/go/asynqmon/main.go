// Asynqmon serves asynq's web interface and its HTTP API, on a port of the loopback that it tells on stdout.
package main

import (
	"fmt"
	"net"
	"net/http"
	"os"

	"github.com/hibiken/asynq"
	"github.com/hibiken/asynqmon"
)

func main() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	handler := asynqmon.New(asynqmon.Options{RedisConnOpt: asynq.RedisClientOpt{Addr: os.Args[1]}})
	fmt.Fprintln(os.Stderr, http.Serve(listener, handler))
}
