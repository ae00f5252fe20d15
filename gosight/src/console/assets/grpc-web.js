// `SendBatch` over gRPC-Web, as far as a click needs it. Protobuf by hand: varints and length-delimited fields.

const varint = (value) => {
  const bytes = []
  for (let rest = BigInt(value); ; rest >>= 7n) {
    if (rest < 128n) return [...bytes, Number(rest)]
    bytes.push(Number(rest & 127n) | 128)
  }
}
const number = (id, value) => [...varint(id << 3), ...varint(value)]
const delimited = (id, bytes) => [...varint((id << 3) | 2), ...varint(bytes.length), ...bytes]
const string = (id, text) => delimited(id, [...new TextEncoder().encode(text)])

const CLICK = 2

const batch = ({ key, session, x, y, element }) => {
  const target = [...string(1, element.tagName.toLowerCase()), ...string(4, element.id), ...string(5, element.textContent.trim())]
  const click = [...number(1, x), ...number(2, y), ...delimited(3, target)]
  const page = [...string(1, location.href), ...string(2, location.pathname), ...string(3, document.title)]
  const event = [...string(1, crypto.randomUUID()), ...number(2, CLICK), ...number(3, Date.now()), ...delimited(4, page), ...delimited(10, click)]
  return new Uint8Array([...string(1, key), ...delimited(2, string(1, session)), ...delimited(3, event), ...number(4, Date.now())])
}

/** Sends one click; resolves to what the edge says of it. */
export const sendClick = async (edge, click) => {
  const message = batch(click)
  const frame = new Uint8Array(5 + message.length)
  new DataView(frame.buffer).setUint32(1, message.length)
  frame.set(message, 5)
  const response = await fetch(`${edge}/gosight.IngestService/SendBatch`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/grpc-web+proto', 'X-Grpc-Web': '1' },
    body: frame,
    signal: AbortSignal.timeout(10_000),
  })
  const text = new TextDecoder('latin1').decode(await response.arrayBuffer())
  const status = response.headers.get('grpc-status') ?? /grpc-status:\s*(\d+)/.exec(text)?.[1]
  if (status !== '0') throw new Error(`refused with gRPC status ${status}: ${response.headers.get('grpc-message') ?? ''}`)
  return response.headers.get('x-gosight-receipt')
}
