#include "cplusplus/src/words/words.h"
#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <iomanip>
#include <iostream>
#include <mutex>
#include <sstream>
#include <stdexcept>
#include <thread>
#include <vector>

namespace {
struct Counted {
    static std::size_t &count() {
        static std::size_t count = 0;
        return count;
    }
    Counted() { count()++; }
};
Counted first, second;
std::atomic<std::size_t> ended{0};
struct Local {
    std::size_t value = 0;
    ~Local() { ended += value; }
};
thread_local Local local;
} // namespace

void Words::add(rust::Str text) {
    std::istringstream stream{std::string(text)};
    for (std::string word; stream >> word;)
        counts[word]++;
}

std::size_t Words::count(const std::string &word) const { return counts.at(word); }

rust::String Words::list() const {
    std::ostringstream list;
    for (const auto &[word, n] : counts)
        list << std::setw(6) << word << '=' << std::hex << n * 16 << ' ' << std::fixed << std::setprecision(2)
             << double(n) / 3 << ';';
    return list.str();
}

std::unique_ptr<Words> words() { return std::make_unique<Words>(); }

double number(rust::Str text) { return std::stod(std::string(text)); }

std::size_t constructed() { return Counted::count(); }

std::size_t in_threads(std::size_t n) {
    std::mutex mutex;
    std::condition_variable all;
    std::vector<std::thread> threads;
    std::size_t done = 0;
    for (std::size_t i = 1; i <= n; i++)
        threads.emplace_back([&, i] {
            local.value = i;
            std::lock_guard<std::mutex> lock(mutex);
            if (++done == n)
                all.notify_one();
        });
    {
        std::unique_lock<std::mutex> lock(mutex);
        all.wait(lock, [&] { return done == n; });
    }
    for (auto &thread : threads)
        thread.join();
    std::cout << "C++ has had " << n << " threads" << std::endl;
    return ended;
}
