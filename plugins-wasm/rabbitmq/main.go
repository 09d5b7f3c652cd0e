// Command rabbitmq is shield's plugin for RabbitMQ as a program: natively an
// executable, or, built for wasip1, a WebAssembly module.
package main

import (
	"github.com/shieldhq/shield/plugin/pdk"
	"github.com/shieldhq/shield/plugins-wasm/rabbitmq/rabbitmq"
)

func main() { pdk.Main(rabbitmq.Plugin()) }
