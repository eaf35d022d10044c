package fleet

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/flowcontrol"

	"github.com/hpatune/hpatune/internal/plain"
	"github.com/hpatune/hpatune/internal/store"
)

// Fleet is a Job whose workers wait, send, or are done.
type Fleet struct {
	client  kubernetes.Interface
	job     *batchv1.Job
	token   string
	Workers []Worked // by shard
}

// Worked is one worker as its coordinator knows it.
type Worked struct {
	Pod, Node string
	// Ahead is how far its clock is ahead of ours, ± Error: half of the shortest round
	// trip, since the answer was made at some point in it.
	Ahead, Error time.Duration
}

// Options are what Launch needs beside the Job's.
type Options struct {
	Job     JobOptions
	Headers []byte        // file of headers that are secrets; nil = none
	Timeout time.Duration // until all workers are ready; 0 = 3 min
}

// Launch makes the Job and its Secret, waits until every worker is ready, and reads their
// clocks. If one does not become ready, the error gives the cluster's reason and everything
// is deleted; nothing has been sent then.
func Launch(ctx context.Context, client kubernetes.Interface, o Options) (*Fleet, error) {
	job, err := Job(o.Job)
	if err != nil {
		return nil, err
	}
	f := &Fleet{client: client, token: rand.Text()}
	if f.job, err = client.BatchV1().Jobs(job.Namespace).Create(ctx, job, metav1.CreateOptions{}); err != nil {
		return nil, fmt.Errorf("fleet: %w", err)
	}
	ok := false
	defer func() {
		if !ok {
			_ = f.Close(ctx)
		}
	}()
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: job.Name, Labels: job.Labels, OwnerReferences: []metav1.OwnerReference{
			{APIVersion: "batch/v1", Kind: "Job", Name: f.job.Name, UID: f.job.UID}, // goes with the Job
		}},
		Data: map[string][]byte{tokenFile: []byte(f.token)},
	}
	if o.Headers != nil {
		secret.Data[HeadersFile] = o.Headers
	}
	if _, err := client.CoreV1().Secrets(job.Namespace).Create(ctx, secret, metav1.CreateOptions{}); err != nil {
		return nil, fmt.Errorf("fleet: %w", err)
	}
	if o.Timeout == 0 {
		o.Timeout = 3 * time.Minute
	}
	if err := f.await(ctx, o); err != nil {
		return nil, err
	}
	for i := range f.Workers {
		if err := f.readClock(ctx, &f.Workers[i]); err != nil {
			return nil, fmt.Errorf("fleet: clock of %s: %w", f.Workers[i].Pod, err)
		}
	}
	ok = true
	return f, nil
}

// await waits until each index has a ready pod.
func (f *Fleet) await(ctx context.Context, o Options) error {
	ctx, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	pods := map[int]*corev1.Pod{}
	began := time.Now()
	for {
		seen, err := f.pods(ctx)
		hopeless := false
		if err == nil {
			pods = seen
			f.Workers = make([]Worked, o.Job.Workers)
			up := 0
			for k := range f.Workers {
				if p := pods[k]; p != nil && ready(p) {
					f.Workers[k] = Worked{Pod: p.Name, Node: p.Spec.NodeName}
					up++
				} else if p != nil && beyondHope(p) {
					hopeless = true
				}
			}
			if up == o.Job.Workers {
				return nil
			}
		} else if ctx.Err() == nil && (apierrors.IsForbidden(err) || apierrors.IsUnauthorized(err)) {
			return fmt.Errorf("fleet: %w", err)
		}
		if !hopeless {
			select {
			case <-ctx.Done():
			case <-time.After(300 * time.Millisecond):
				continue
			}
		}
		if errors.Is(ctx.Err(), context.Canceled) {
			return ctx.Err()
		}
		return fmt.Errorf("fleet: not all %d workers were ready after %s: %s; nothing was sent",
			o.Job.Workers, time.Since(began).Round(time.Second), f.troubles(context.WithoutCancel(ctx), pods, o.Job.Workers))
	}
}

// beyondHope reports what waiting does not solve: an image that does not exist or cannot be
// pulled, or a worker that has ended.
func beyondHope(p *corev1.Pod) bool {
	for _, c := range p.Status.ContainerStatuses {
		if w := c.State.Waiting; w != nil {
			switch w.Reason {
			case "ImagePullBackOff",
				"InvalidImageName",
				"ErrImageNeverPull",
				"CreateContainerError",
				"CreateContainerConfigError":
				return true
			}
		}
	}
	return p.Status.Phase == corev1.PodFailed || p.Status.Phase == corev1.PodSucceeded
}

// troubles says why each worker is not ready, in the cluster's words: its pod's state, and
// the last warning about its pod or the Job.
func (f *Fleet) troubles(ctx context.Context, pods map[int]*corev1.Pod, workers int) string {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	warned := map[string]string{} // not everybody may look at events
	if list, err := f.client.CoreV1().
		Events(f.job.Namespace).
		List(ctx, metav1.ListOptions{FieldSelector: "type=Warning"}); err == nil {
		for _, e := range list.Items {
			warned[e.InvolvedObject.Name] = e.Reason + ": " + e.Message
		}
	}
	var whys []string // in the order of the first worker that each keeps
	kept := map[string][]string{}
	for k := range workers {
		p := pods[k]
		name, why := f.job.Name, "it has no pod"
		if p != nil {
			if ready(p) {
				continue
			}
			name, why = p.Name, whyNot(p)
		}
		// Beside a state that only says that it is not there yet.
		if w := warned[name]; w != "" && (p == nil || p.Status.Phase == corev1.PodPending && !beyondHope(p)) {
			why += " (" + w + ")"
		}
		if kept[why] == nil {
			whys = append(whys, why)
		}
		kept[why] = append(kept[why], strconv.Itoa(k))
	}
	var out []string
	for _, why := range whys {
		out = append(out, "worker "+strings.Join(kept[why], ", ")+": "+why)
	}
	return strings.Join(out, "; ")
}

// pods returns the Job's pods by index; of two with one index the newer.
func (f *Fleet) pods(ctx context.Context) (map[int]*corev1.Pod, error) {
	list, err := f.client.CoreV1().
		Pods(f.job.Namespace).
		List(ctx, metav1.ListOptions{LabelSelector: jobLabel + "=" + f.job.Name})
	if err != nil {
		return nil, err
	}
	out := map[int]*corev1.Pod{}
	for i := range list.Items {
		p := &list.Items[i]
		var k int
		if _, err := fmt.Sscan(p.Annotations[batchv1.JobCompletionIndexAnnotation], &k); err != nil {
			continue
		}
		if old := out[k]; old == nil || old.CreationTimestamp.Before(&p.CreationTimestamp) {
			out[k] = p
		}
	}
	return out, nil
}

func ready(p *corev1.Pod) bool {
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue && p.DeletionTimestamp == nil
		}
	}
	return false
}

// whyNot says what a pod is waiting for, or why it ended.
func whyNot(p *corev1.Pod) string {
	for _, c := range p.Status.ContainerStatuses {
		if w := c.State.Waiting; w != nil && w.Reason != "" {
			return strings.TrimSuffix(w.Reason+": "+w.Message, ": ")
		}
		if t := c.State.Terminated; t != nil {
			return fmt.Sprintf("%s, exit code %d", t.Reason, t.ExitCode)
		}
	}
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodScheduled && c.Status != corev1.ConditionTrue {
			return strings.TrimSuffix(c.Reason+": "+c.Message, ": ")
		}
	}
	if p.DeletionTimestamp != nil {
		return "it is being deleted"
	}
	if p.Status.Reason != "" {
		return strings.TrimSuffix(p.Status.Reason+": "+p.Status.Message, ": ")
	}
	return "phase " + string(p.Status.Phase)
}

// ask sends a request to a worker through the API server's pod proxy.
func (f *Fleet) ask(method, pod, path string) *rest.Request {
	return f.client.CoreV1().RESTClient().Verb(method).Namespace(f.job.Namespace).Resource("pods").
		Name(fmt.Sprintf("%s:%d", pod, port)).SubResource("proxy").Suffix(path).SetHeader(tokenHeader, f.token).
		Throttle(unlimited)
}

// unlimited: what a fleet asks its workers is paced by itself, and must neither
// wait for what the observer asks of the API server nor make that wait.
var unlimited = flowcontrol.NewFakeAlwaysRateLimiter()

// state asks a worker how it is.
func (f *Fleet) state(ctx context.Context, pod string) (state, error) {
	var s state
	b, err := f.ask(http.MethodGet, pod, "state").DoRaw(ctx)
	if err == nil {
		err = json.Unmarshal(b, &s)
	}
	return s, err
}

// readClock makes several requests and uses the fastest answer (as NTP does).
func (f *Fleet) readClock(ctx context.Context, w *Worked) error {
	w.Error = time.Hour
	for range 8 {
		asked := time.Now()
		s, err := f.state(ctx, w.Pod)
		took := time.Since(asked)
		if err != nil {
			return err
		}
		if took/2 < w.Error {
			w.Error = took / 2
			w.Ahead = time.Unix(0, s.Now).Sub(asked.Round(0).Add(took / 2))
		}
	}
	return nil
}

// Start sends every worker its order: the same except for the shard and the start in its
// own clock. It returns when all have been contacted; a worker that could not be reached is
// lost, and Collect names it.
func (f *Fleet) Start(ctx context.Context, o Order) {
	start := o.Start
	f.each(func(k int, w Worked) {
		own := o
		own.Shard, own.Start = Shard{k, len(f.Workers)}, start.Add(w.Ahead)
		own.MaxRate = o.MaxRate / float64(len(f.Workers))
		if o.InFlight > 0 { // 0 is no limit
			own.InFlight = max(o.InFlight/len(f.Workers), 1)
		}
		if b, err := json.Marshal(own); err == nil {
			_ = f.ask(http.MethodPost, w.Pod, "start").Body(b).Do(ctx).Error()
		}
	})
}

// Stop tells the workers to stop sending; their runs are then partial.
func (f *Fleet) Stop(ctx context.Context) {
	f.each(func(_ int, w Worked) { _ = f.ask(http.MethodPost, w.Pod, "stop").Do(ctx).Error() })
}

func (f *Fleet) each(do func(k int, w Worked)) {
	var all sync.WaitGroup
	for k, w := range f.Workers {
		all.Go(func() { do(k, w) })
	}
	all.Wait()
}

// Collect waits until every worker has ended and fetches its run into a folder below dir. A
// worker whose pod is gone, or that has not answered for half a minute, is lost; so is one
// that is not done by the deadline.
func (f *Fleet) Collect(ctx context.Context, dir string, deadline time.Time) []Share {
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	out := make([]Share, len(f.Workers))
	f.each(func(k int, w Worked) {
		out[k] = Share{Name: w.Pod, Ahead: w.Ahead, Error: w.Error}
		if err := f.done(ctx, k, w.Pod); err != nil {
			out[k].Why = plain.Error(err)
			return
		}
		folder := filepath.Join(dir, w.Pod)
		if err := f.fetch(ctx, w.Pod, folder); err != nil {
			out[k].Why = "its run could not be fetched: " + plain.Error(err)
			return
		}
		run, err := store.Open(os.DirFS(folder))
		if err != nil {
			out[k].Why = plain.Error(err)
			return
		}
		out[k].Run = run
		if run.Meta.Client.Aborted != "" { // the abort rule is about the target, not about one worker
			f.Stop(ctx)
		}
		_ = f.ask(http.MethodPost, w.Pod, "bye").Do(ctx).Error()
	})
	return out
}

// done waits until a worker has sent its shard.
func (f *Fleet) done(ctx context.Context, k int, pod string) error {
	const patience = 30 * time.Second
	// Ten questions a second in all, each worker at least every half minute.
	every := min(max(500*time.Millisecond, time.Duration(len(f.Workers))*100*time.Millisecond), patience)
	heard := time.Now()
	for {
		s, err := f.state(ctx, pod)
		switch {
		case err == nil && s.State == "done" && s.Error != "":
			return errors.New(s.Error)
		case err == nil && s.State == "done":
			return nil
		case err == nil && s.State == "waiting":
			if time.Since(heard) > patience {
				return errors.New("it never received its order")
			}
		case err == nil:
			heard = time.Now()
		default:
			pods, unknown := f.pods(ctx)
			p := pods[k]
			switch {
			case unknown == nil && (p == nil || p.Name != pod):
				return errors.New("its pod was deleted")
			case unknown == nil && (p.Status.Phase == corev1.PodFailed || p.Status.Phase == corev1.PodSucceeded):
				return fmt.Errorf("its pod ended: %s", whyNot(p))
			case ctx.Err() == nil && time.Since(heard) > patience:
				return fmt.Errorf("it no longer answers: %w", err)
			}
		}
		select {
		case <-ctx.Done():
			return errors.New("it did not finish in time")
		case <-time.After(every):
		}
	}
}

// fetch writes a worker's run folder into dir.
func (f *Fleet) fetch(ctx context.Context, pod, dir string) error {
	body, err := f.ask(http.MethodGet, pod, "run").Stream(ctx)
	if err != nil {
		return err
	}
	defer body.Close()
	return unpack(body, dir)
}

// Close deletes the Job and, in the background, its pods and its Secret. It
// works after ctx has ended, too.
func (f *Fleet) Close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
	defer cancel()
	err := f.client.BatchV1().
		Jobs(f.job.Namespace).
		Delete(ctx, f.job.Name, metav1.DeleteOptions{PropagationPolicy: new(metav1.DeletePropagationBackground)})
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

// ReadToken reads what the Job's Secret says to a worker.
func ReadToken(secrets string) (string, error) {
	b, err := os.ReadFile(filepath.Join(secrets, tokenFile))
	return strings.TrimSpace(string(b)), err
}
