'use strict'
// Connections to this machine and to the server, and to nothing else.
const net = require('node:net')
const connect = net.Socket.prototype.connect

// The forms that `connect` takes: (options), (port, host), (path), and a list of these from within Node.js.
function target(words) {
  const first = Array.isArray(words[0]) ? words[0][0] : words[0]
  if (first !== null && typeof first === 'object') return first
  if (typeof first === 'string' && Number.isNaN(Number(first))) return { path: first }
  return { port: first, host: typeof words[1] === 'string' ? words[1] : undefined }
}

function isAllowed({ path, host, port }) {
  if (path) return true
  const name = String(host || 'localhost').replace(/^\[|\]$/g, '').toLowerCase()
  const isLoopback = name === 'localhost' || name === '::1' || (net.isIPv4(name) && name.startsWith('127.'))
  return isLoopback || (name === server.host.toLowerCase() && Number(port) === server.port)
}

net.Socket.prototype.connect = function (...words) {
  const wanted = target(words)
  if (isAllowed(wanted)) return connect.apply(this, words)
  const asked = `asked for ${wanted.host}:${wanted.port}, which is not your server, and was refused`
  process.stderr.write(`warning: a program of the Heroku client ${asked}\n`)
  process.nextTick(() => this.destroy(new Error(`the program ${asked}`)))
  return this
}
