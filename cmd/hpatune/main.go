// Command hpatune finds the HorizontalPodAutoscaler settings that meet an SLO at the lowest cost.
package main

func main() {}
