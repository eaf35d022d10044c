// Usage: node counts.js RUN
// Prints what a foreign Parquet reader finds in a run folder, as JSON.
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { asyncBufferFromFile, parquetMetadataAsync, parquetReadObjects } from 'hyparquet'
import { compressors } from 'hyparquet-compressors'

async function rows(folder) {
  const all = []
  let columns = []
  for (const name of readdirSync(folder).filter(n => n.endsWith('.parquet')).sort()) {
    const file = await asyncBufferFromFile(join(folder, name))
    const metadata = await parquetMetadataAsync(file)
    columns = metadata.schema.slice(1).map(e => e.name)
    for (const row of await parquetReadObjects({ file, compressors })) all.push(row)
  }
  return { columns, all }
}

const count = (all, key) => {
  const n = {}
  for (const r of all) { const k = r[key] ?? 'null'; n[k] = (n[k] ?? 0) + 1 }
  return n
}
const sum = (all, key) => all.reduce((s, r) => s + BigInt(r[key] ?? 0), 0n).toString()
const nulls = (all, key) => all.filter(r => r[key] === null || r[key] === undefined).length

const run = process.argv[2]
const q = await rows(join(run, 'requests'))
const s = await rows(join(run, 'samples'))
console.log(JSON.stringify({
  columns: q.columns,
  rows: q.all.length,
  outcomes: count(q.all, 'outcome'),
  backends: count(q.all, 'backend'),
  errors: count(q.all, 'error'),
  sums: Object.fromEntries(['arrival', 'scheduled_us', 'sent_us', 'first_us', 'last_us', 'done_us', 'gap_max_us', 'prompt_tokens', 'tokens', 'code'].map(k => [k, sum(q.all, k)])),
  nulls: Object.fromEntries(['sent_us', 'first_us', 'done_us', 'tokens', 'error'].map(k => [k, nulls(q.all, k)])),
  new_conn: q.all.filter(r => r.new_conn).length,
  samples: s.all.length,
  value: s.all.reduce((t, r) => t + r.value, 0)
}))
