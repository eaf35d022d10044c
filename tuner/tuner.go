// Package tuner turns recorded runs into advice: it fits a model of the pods to
// the recording, replays the offered load under thousands of configurations,
// picks the cheapest that meets the objectives, and says why and how sure.
package tuner
