// SPDX-License-Identifier: MIT
// Goroutines, channels, maps and the garbage collector in one static program.
package main

import (
	"fmt"
	"os"
	"runtime"
	"sync"
)

func main() {
	const workers, items = 16, 200
	var wg sync.WaitGroup
	results := make(chan int, workers)
	for w := 0; w < workers; w++ {
		wg.Add(1)
		go func(w int) {
			defer wg.Done()
			seen := map[int]string{}
			for i := 0; i < items; i++ {
				seen[i*w] = fmt.Sprint(i)
				runtime.Gosched()
			}
			results <- len(seen)
		}(w)
	}
	wg.Wait()
	close(results)
	sum := 0
	for n := range results {
		sum += n
	}
	runtime.GC()
	fmt.Println("go", sum, os.Args[1:])
	os.Exit(3)
}
