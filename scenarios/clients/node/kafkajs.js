'use strict'
// A driver of kafkajs. It takes orders as lines of JSON on its standard input and
// answers on its standard output: any number of {"progress": n}, then one of
// {"result": ...}, {"error": text} and {"lacks": text}. Bytes travel as base64.

const path = require('path')
const readline = require('readline')
const { createRequire } = require('module')

const installed = createRequire(path.join(process.env.LIGNUM_CLIENTS_NODE, 'package.json'))
const { Kafka, CompressionTypes, CompressionCodecs, logLevel } = installed('kafkajs')
CompressionCodecs[CompressionTypes.Snappy] = installed('kafkajs-snappy')
CompressionCodecs[CompressionTypes.LZ4] = new (installed('kafkajs-lz4'))().codec

const CODECS = {
  none: CompressionTypes.None,
  gzip: CompressionTypes.GZIP,
  snappy: CompressionTypes.Snappy,
  lz4: CompressionTypes.LZ4,
}

class Lacks extends Error {}

const decode = (text) => (text === null || text === undefined ? null : Buffer.from(text, 'base64'))
const answer = (fields) => process.stdout.write(JSON.stringify(fields) + '\n')
const sleep = (millis) => new Promise((resolve) => setTimeout(resolve, millis))

// headersOf gathers the values of each name: kafkajs has a list where a name repeats.
function headersOf(record) {
  const headers = {}
  for (const h of record.headers || []) {
    headers[h.key] = headers[h.key] ? [].concat(headers[h.key], decode(h.value)) : decode(h.value)
  }
  return headers
}

let kafka
let admin

function producer(how) {
  return kafka.producer({
    idempotent: how.idempotent,
    maxInFlightRequests: 1,
    allowAutoTopicCreation: false,
    retry: { retries: 300, initialRetryTime: 50, maxRetryTime: 500 },
  })
}

const orders = {
  async hello(order) {
    kafka = new Kafka({
      brokers: [order.broker],
      logLevel: logLevel.NOTHING,
      retry: { retries: 300, initialRetryTime: 50, maxRetryTime: 500 },
    })
    admin = kafka.admin()
    await admin.connect()
    return { name: 'kafkajs ' + installed('kafkajs/package.json').version, traits: { repeats: false } }
  },

  async create(order) {
    const topic = { topic: order.topic, numPartitions: order.partitions, replicationFactor: 1 }
    await admin.createTopics({ topics: [topic], waitForLeaders: true })
  },

  async topics() {
    const { topics } = await admin.fetchTopicMetadata()
    return Object.fromEntries(topics.map((t) => [t.name, t.partitions.length]))
  },

  async delete(order) {
    await admin.deleteTopics({ topics: [order.topic] })
  },

  async produce(order) {
    const { codec, acks, idempotent } = order.produce
    if (!(codec in CODECS)) {
      throw new Lacks('the codec ' + codec)
    }
    const p = producer({ idempotent: Boolean(idempotent) })
    await p.connect()
    const messages = order.records.map((r) => ({
      key: decode(r.key),
      value: decode(r.value),
      partition: r.partition < 0 ? undefined : r.partition,
      timestamp: String(r.timestamp),
      headers: headersOf(r),
    }))
    const told = await p.send({
      topic: order.topic,
      messages,
      acks: acks === 'all' ? -1 : Number(acks),
      compression: CODECS[codec],
    })
    await p.disconnect()
    return places(order.records, acks === '0' ? [] : told)
  },

  async 'offset-at'(order) {
    const found = await admin.fetchTopicOffsetsByTimestamp(order.topic, order.timestamp)
    const end = (await admin.fetchTopicOffsets(order.topic)).find((p) => p.partition === order.partition)
    const at = Number(found.find((p) => p.partition === order.partition).offset)
    return at === Number(end.high) ? -1 : at // kafkajs answers the end where there is none
  },

  async load(order) {
    const { count, partitions, rate, idempotent } = order.load
    const p = producer({ idempotent })
    await p.connect()
    const acks = []
    const start = Date.now()
    for (let i = 0; i < count; ) {
      const due = Math.min(count, Math.floor(((Date.now() - start) * rate) / 1000))
      const sent = new Map()
      for (; i < due; i++) {
        const sequence = Math.floor(i / partitions)
        const message = { partition: i % partitions, value: sequence + ' of the load' }
        sent.set(i % partitions, (sent.get(i % partitions) || []).concat({ sequence, message }))
      }
      if (sent.size === 0) {
        await sleep(1)
        continue
      }
      const messages = [...sent.values()].flat().map((s) => s.message)
      const told = await p.send({ topic: order.topic, messages, acks: -1 })
      for (const { partition, baseOffset } of told) {
        sent.get(partition).forEach(({ sequence }, n) => {
          acks.push({ partition, sequence, offset: Number(baseOffset) + n })
        })
      }
      answer({ progress: acks.length })
    }
    await p.disconnect()
    return acks
  },
}

// member reads in a group until the standard input ends. What was read is told before kafkajs commits it.
async function member(order) {
  const told = new Promise((resolve) => process.stdin.once('end', resolve))
  const client = new Kafka({
    brokers: order.broker.split(','),
    logLevel: logLevel.ERROR,
    logCreator: () => ({ log }) => console.error(log.message, log.error || ''),
    retry: { retries: 300, initialRetryTime: 50, maxRetryTime: 500 },
  })
  const consumer = client.consumer({
    groupId: order.group,
    sessionTimeout: 6000,
    heartbeatInterval: 500,
    rebalanceTimeout: 10000,
    maxWaitTimeInMs: 100,
    metadataMaxAge: 5000,
  })
  await consumer.connect()
  await consumer.subscribe({ topic: order.topic, fromBeginning: true })
  await consumer.run({
    eachBatch: async ({ batch }) => answer({ values: batch.messages.map((m) => m.value.toString()) }),
  })
  await told
  await consumer.disconnect()
}
orders.member = member

// places tells each record's offset from its partition's base offset.
function places(records, told) {
  const next = new Map(told.map((t) => [t.partition, Number(t.baseOffset)]))
  return records.map(({ partition }) => {
    if (!next.has(partition)) {
      return { partition, offset: -1 }
    }
    const offset = next.get(partition)
    next.set(partition, offset + 1)
    return { partition, offset }
  })
}

async function main() {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const order = JSON.parse(line)
    try {
      const result = await orders[order.do](order)
      answer({ result: result === undefined ? null : result })
    } catch (fault) {
      console.error(fault)
      answer(fault instanceof Lacks ? { lacks: fault.message } : { error: String(fault) })
    }
  }
  if (admin) {
    await admin.disconnect()
  }
}

main().catch((fault) => {
  console.error(fault)
  process.exit(1)
})
